// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// The UDP socket of the sync link, shared by the receiver thread, which reads, and the sender
/// thread, which writes; each brings its own `DatagramBuffers`. The control thread ties it to the
/// device, again whenever that changes (`SyncLink`).
///
/// One socket for IPv4 and IPv6. It sends with TTL and hop limit 255, hears only what no router has
/// forwarded, and never itself. Packets for all nodes go to a multicast group, or to each peer in
/// turn; without a group and peers, to a group of each family until a peer was heard.
final class SyncSocket: Sendable {
    /// The group used where none is given: link-local, so no querier is needed (RFC 4727).
    static let defaultGroup4 = HostAddress(.ipv4, Address(ipv4: 0xE000_00FE))
    /// The same for IPv6 (RFC 4727).
    static let defaultGroup6 = HostAddress(
        .ipv6, Address(high: 0xFF02 << 48, low: 0x114))
    /// The least MTU: an IPv6 and a UDP header, an envelope, a packet header and the longest message.
    static let smallestMTU =
        48 + SealEnvelope.byteCount + PacketHeader.byteCount + Message.maximumByteCount
    /// Receive and send buffer asked of the kernel, in bytes.
    static let bufferBytes: CInt = 8 * 1024 * 1024
    /// Bytes of the largest packet that is received, whatever the other nodes' MTU.
    static let largestPacket = 9_216
    /// How long a full send buffer is waited for.
    private static let fullMilliseconds: CInt = 60
    /// One that was waited for in vain is not waited for again for so long: a packet for many peers, and
    /// the last ones of a term, would wait for each.
    private static let stuckInterval = 200 * Duration.millisecond
    /// How often a packet goes out in the families that no peer is heard in.
    static let everywhereInterval = 1 * Duration.second

    /// What changes with the device.
    struct State {
        var device: SyncDevice
        /// Whether it has its port: not before there was a device.
        var isBound: Bool
        /// The groups joined, each with the number of the device.
        var joined: [(group: HostAddress, index: UInt32)] = []
    }

    /// The link that it is, of several.
    let place: Int
    private let port: UInt16
    /// Where packets for all nodes go.
    let destinations: [PeerAddress]
    /// Whether these are groups.
    let isMulticast: Bool
    /// The bytes that the kernel gave the receive buffer.
    let receiveBufferBytes: Int
    let descriptor: Descriptor
    /// IPv6 for both; IPv4 on a kernel without IPv6.
    private let family: Family
    let state: Mutex<State>
    /// The number of the device that it is tied to.
    let tiedIndex: Atomic<UInt32>
    /// `FamilySet`s: those that packets for all go out in, and those that they can.
    private let inUse: Atomic<UInt8>
    private let possible: Atomic<UInt8>
    private let everywhereDue = Atomic<UInt64>(0)
    private let refusal = Atomic<CInt>(0)
    private let stuckUntil = Atomic<UInt64>(0)

    /// Opens the socket of a node and ties it to the device.
    ///
    /// - Parameters:
    ///   - group: the multicast group if `peers` is empty; nil for the default ones.
    ///   - peers: the other nodes, which alone are heard then.
    ///   - place: the link that it is, of several.
    /// - Throws: `SystemError` of the socket calls.
    init(
        device: SyncDevice, group: HostAddress?, peers: [HostAddress], port: UInt16,
        place: Int = 0
    ) throws(SystemError) {
        self.place = place
        self.port = port
        var family = Family.ipv6
        let descriptor = try Self.open(&family)
        let raw = descriptor.raw
        var hosts = peers
        if peers.isEmpty { hosts = group.map { [$0] } ?? [Self.defaultGroup4, Self.defaultGroup6] }
        if family == .ipv4 { hosts.removeAll { $0.family == .ipv6 } }
        guard !hosts.isEmpty else { throw SystemError("IPv6 socket", errno: EAFNOSUPPORT) }
        destinations = hosts.map { PeerAddress(address: $0.address, family: $0.family, port: port) }
        isMulticast = peers.isEmpty
        try retrying("socket options") { ctsync_sync_options(raw, CInt(family.rawValue)) }
        let filter = ArrivalFilter(peers: peers)
        try retrying("SO_ATTACH_FILTER") {
            ctsync_attach_filter(raw, filter.program, UInt16(filter.program.count))
        }
        if device.index != 0 {
            try Self.tie(descriptor, to: device)
            try Self.bind(descriptor, family, port)
        }
        receiveBufferBytes = Int(
            try retrying("receive buffer") { ctsync_set_receive_buffer(raw, Self.bufferBytes) })
        try retrying("send buffer") { ctsync_set_send_buffer(raw, Self.bufferBytes) }
        self.descriptor = descriptor
        self.family = family
        tiedIndex = Atomic(device.index)
        let families = hosts.reduce(into: FamilySet()) { $0.insert(FamilySet($1.family)) }
        inUse = Atomic(families.rawValue)
        possible = Atomic(families.rawValue)
        state = Mutex(State(device: device, isBound: device.index != 0))
    }

    private static func tie(
        _ descriptor: borrowing Descriptor, to device: SyncDevice
    ) throws(SystemError) {
        let raw = descriptor.raw
        try retrying("SO_BINDTODEVICE \(device.name)") { ctsync_bind_to_device(raw, device.name) }
    }

    private static func bind(
        _ descriptor: borrowing Descriptor, _ family: Family, _ port: UInt16
    ) throws(SystemError) {
        let raw = descriptor.raw
        var storage = sockaddr_storage()
        let length = PeerAddress(address: .any, family: family, port: port)
            .write(scope: 0, as: family, to: &storage)
        try retrying("bind to port \(port)") {
            withUnsafePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(raw, $0, length) }
            }
        }
    }

    /// Opens a socket for both families, or for IPv4 alone on a kernel without IPv6.
    private static func open(_ family: inout Family) throws(SystemError) -> Descriptor {
        let kind = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        do throws(SystemError) {
            return try Descriptor("sync socket") { socket(AF_INET6, kind, 0) }
        } catch {
            guard error.errno == EAFNOSUPPORT else { throw error }
            family = .ipv4
            return try Descriptor("sync socket") { socket(AF_INET, kind, 0) }
        }
    }

    // MARK: The device, for the control thread

    /// The sync device, as it was last looked up.
    var device: SyncDevice { state.withLock { $0.device } }

    /// The families that there is a destination in.
    var configured: FamilySet {
        destinations.reduce(into: []) { $0.insert(FamilySet($1.family)) }
    }

    /// Ties the socket to a device; its groups are joined by `join`.
    func tie(to device: SyncDevice) throws(SystemError) {
        leave(all: true)
        try Self.tie(descriptor, to: device)
        if state.withLock({ !$0.isBound }) { try Self.bind(descriptor, family, port) }
        tiedIndex.store(device.index, ordering: .relaxed)
        state.withLock { $0 = State(device: device, isBound: true, joined: $0.joined) }
    }

    /// Records what has changed of the device that it is tied to.
    func record(_ device: SyncDevice) {
        state.withLock { $0.device = device }
    }

    /// Chooses the families that packets for all nodes go out in.
    ///
    /// - Parameter heard: those that peers were heard in lately.
    func use(heard: FamilySet) {
        let usable = device.families
        let configured = configured
        possible.store(
            FamilySet.inUse(configured: configured, usable: usable, heard: []).rawValue,
            ordering: .relaxed)
        inUse.store(
            FamilySet.inUse(
                configured: configured, usable: usable, heard: isMulticast ? heard : []
            ).rawValue, ordering: .relaxed)
    }

    /// Bytes of the largest packet that is sent: the MTU less the IP and UDP headers, if that can be
    /// received.
    var packetByteCount: Int {
        let headers = configured.contains(.ipv6) ? 48 : 28
        return min(max(device.mtu, Self.smallestMTU) - headers, Self.largestPacket)
    }

    // MARK: Packets

    /// Whether half of the send buffer is free, which has room for a batch.
    var isReady: Bool {
        var polled = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
        return poll(&polled, 1, 0) == 1
    }

    /// errno of the last packet that the network refused; 0 if it refused none.
    var lastRefusal: CInt { refusal.load(ordering: .relaxed) }

    /// What to poll for POLLIN.
    var raw: CInt { descriptor.raw }

    /// Reads what has come, without waiting.
    ///
    /// - Returns: how many datagrams the buffers hold now.
    /// - Throws: `SystemError` of recvmmsg(2).
    func receive(_ buffers: DatagramBuffers) throws(SystemError) -> Int {
        buffers.link = UInt8(place)
        do throws(SystemError) {
            return try buffers.receive(from: raw)
        } catch {
            // What an earlier datagram came to (an ICMP error, the device down) says nothing of
            // those to come.
            if [ECONNREFUSED, ENETDOWN, EHOSTUNREACH, ENETUNREACH].contains(error.errno) {
                return 0
            }
            throw error
        }
    }

    /// Sends the first `count` datagrams of the buffers, waiting while the socket is full.
    ///
    /// What the network refuses (device down, no route, a firewall rule) counts as sent: it is lost,
    /// and the slaves ask for it again.
    ///
    /// - Parameters:
    ///   - peer: where to; nil for all nodes.
    /// - Returns: how many were refused: by a peer's route, or in all families in use of a group.
    ///   While the device's IPv6 address is tentative, only IPv4 takes them.
    func send(_ buffers: DatagramBuffers, count: Int, to peer: PeerAddress?) -> UInt64 {
        if let peer { return send(buffers, count, peer) }
        return sendToAll(buffers, count: count, now: Clock.now())
    }

    /// The same to all nodes.
    func sendToAll(_ buffers: DatagramBuffers, count: Int, now: Instant) -> UInt64 {
        var refused: UInt64 = 0
        var least = UInt64(count)
        let used = FamilySet(rawValue: inUse.load(ordering: .relaxed))
        for destination in destinations where used.contains(FamilySet(destination.family)) {
            let here = send(buffers, count, destination)
            refused += here
            least = min(least, here)
        }
        let others = FamilySet(rawValue: possible.load(ordering: .relaxed)).subtracting(used)
        if !others.isEmpty, count > 0, now >= everywhereDue.load(ordering: .relaxed) {
            // A node that has no address yet in the family in use is to find this one too.
            everywhereDue.store(now + Self.everywhereInterval, ordering: .relaxed)
            for destination in destinations where others.contains(FamilySet(destination.family)) {
                _ = send(buffers, 1, destination)
            }
        }
        return isMulticast ? least : refused
    }

    private func send(_ buffers: DatagramBuffers, _ count: Int, _ peer: PeerAddress) -> UInt64 {
        var refused: UInt64 = 0
        let scope = tiedIndex.load(ordering: .relaxed)
        guard scope != 0 else {
            refusal.store(ENODEV, ordering: .relaxed)
            return UInt64(count)
        }
        buffers.address(to: peer, scope: scope, as: family, count: count)
        var done = 0
        while done < count {
            let sent = ctsync_sendmmsg(raw, buffers.headers + done, UInt32(count - done))
            if sent > 0 {
                done += Int(sent)
            } else if errno == EAGAIN {
                guard !takesMore() else { continue }
                // The link is stuck: what does not fit is lost like what it refuses.
                refusal.store(EAGAIN, ordering: .relaxed)
                return refused + UInt64(count - done)
            } else if errno != EINTR {
                refusal.store(errno, ordering: .relaxed)
                refused += 1
                done += 1
            }
        }
        return refused
    }

    /// Waits until half of the full send buffer is free.
    ///
    /// - Returns: false if the link is stuck.
    private func takesMore() -> Bool {
        guard Clock.now() >= stuckUntil.load(ordering: .relaxed) else { return false }
        var polled = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
        guard poll(&polled, 1, Self.fullMilliseconds) == 0 else { return true }
        stuckUntil.store(Clock.now() + Self.stuckInterval, ordering: .relaxed)
        return false
    }
}
