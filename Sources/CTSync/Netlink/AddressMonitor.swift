// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// An address by which this node can be reached no more: it was removed, or its device went down.
/// The kernel then deletes every connection that is masqueraded to it.
struct AddressLoss: Equatable, Sendable {
    var family: Family
    var address: Address
    /// The name of the device that has, or had, the address.
    var device: String
}

/// Says which addresses a node has lost; used by one thread at a time.
protocol AddressLosses: AnyObject {
    /// Hands out the addresses lost since the last call.
    func look(_ body: (AddressLoss) -> Void) throws(SystemError)
}

/// Hears of lost addresses in this network namespace (rtnetlink).
///
/// 1. At the start it subscribes, then reads the addresses and which devices are up.
/// 2. RTM_DELADDR: that address is lost. RTM_NEWLINK of a device that was up and is not, RTM_DELLINK:
///    all of the device's are.
/// 3. Messages that found the socket full: any address may have gone and come back, so all are
///    handed out, and read again.
///
/// One thread at a time uses it.
final class AddressMonitor: AddressLosses {
    private struct Known {
        var index: UInt32
        var family: Family
        var address: Address
    }

    private static let newLink: UInt16 = 16  // RTM_NEWLINK
    private static let delLink: UInt16 = 17  // RTM_DELLINK
    private static let newAddress: UInt16 = 20  // RTM_NEWADDR
    private static let delAddress: UInt16 = 21  // RTM_DELADDR
    /// A hundred devices that go down together take half a megabyte of it.
    private static let bufferBytes: CInt = 4 << 20

    private let notifications: NetlinkReader
    private var known: [Known] = []
    private var names: [UInt32: String] = [:]
    private var up: Set<UInt32> = []

    /// Listens in the network namespace of the calling thread.
    ///
    /// - Throws: `SystemError` of the socket or of getifaddrs(3).
    init() throws(SystemError) {
        notifications = try NetlinkReader(
            "rtnetlink socket", protocol: NetlinkReader.route,
            groups: NetlinkReader.linksAndAddresses)
        // With the smaller buffer losses are likelier, and they are noticed.
        _ = ctsync_set_receive_buffer(notifications.raw, Self.bufferBytes)
        try readAll()
    }

    func look(_ body: (AddressLoss) -> Void) throws(SystemError) {
        try notifications.drain {
            read($0, body)
        } lost: { () throws(SystemError) in
            for address in known { body(loss(address)) }
            try readAll()
        }
    }

    private func loss(_ address: Known) -> AddressLoss {
        AddressLoss(
            family: address.family, address: address.address, device: names[address.index] ?? "")
    }

    // MARK: Messages

    private func read(_ bytes: RawSpan, _ body: (AddressLoss) -> Void) {
        var lost: [AddressLoss] = []
        var offset = 0
        while offset < bytes.byteCount, let next = bytes.nextMessage(after: offset) {
            let end = offset + Int(bytes.hostUInt32(at: offset))
            let start = offset + NLMSG_HDRLEN
            switch bytes.hostUInt16(at: offset + 4) {
            case Self.newLink where end - start >= 16: readLink(bytes, start, end, &lost)
            case Self.delLink where end - start >= 16 && bytes.byte(start) == UInt8(AF_UNSPEC):
                takeDown(bytes.hostUInt32(at: start + 4), &lost)
            case Self.newAddress where end - start >= 8:
                if let address = Self.address(bytes, start, end) { add(address) }
            case Self.delAddress where end - start >= 8:
                if let address = Self.address(bytes, start, end) { remove(address, &lost) }
            default: break
            }
            offset = next
        }
        for each in lost { body(each) }
    }

    /// `struct ifinfomsg`: family 1, padding 1, type 2, index 4, flags 4, change 4.
    private func readLink(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ lost: inout [AddressLoss]
    ) {
        guard bytes.byte(start) == UInt8(AF_UNSPEC) else { return }
        let index = bytes.hostUInt32(at: start + 4)
        if let name = Self.text(3, bytes, start + 16, end) { names[index] = name }  // IFLA_IFNAME
        if bytes.hostUInt32(at: start + 8) & UInt32(IFF_UP) != 0 {
            up.insert(index)
        } else {
            takeDown(index, &lost)
        }
    }

    private func takeDown(_ index: UInt32, _ lost: inout [AddressLoss]) {
        guard up.remove(index) != nil else { return }
        lost += known.filter { $0.index == index }.map { loss($0) }
    }

    private func add(_ address: Known) {
        guard !known.contains(where: { Self.isSame($0, address) }) else { return }
        known.append(address)
    }

    private func remove(_ address: Known, _ lost: inout [AddressLoss]) {
        known.removeAll { Self.isSame($0, address) }
        lost.append(loss(address))
    }

    private static func isSame(_ one: Known, _ other: Known) -> Bool {
        one.index == other.index && one.family == other.family && one.address == other.address
    }

    /// `struct ifaddrmsg`: family 1, prefix length 1, flags 1, scope 1, index 4; then IFA_*.
    private static func address(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Known? {
        let family: Family
        switch CInt(bytes.byte(start)) {
        case AF_INET: family = .ipv4
        case AF_INET6: family = .ipv6
        default: return nil
        }
        // IFA_LOCAL is the node's own where IFA_ADDRESS is the other end's.
        let local = value(2, bytes, start + 8, end) ?? value(1, bytes, start + 8, end)
        guard let local, local.end - local.start == (family == .ipv4 ? 4 : 16) else { return nil }
        let address =
            family == .ipv4
            ? Address(ipv4: bytes.hostUInt32(at: local.start).bigEndian)
            : Address(high: bytes.big(local.start), low: bytes.big(local.start + 8))
        return Known(index: bytes.hostUInt32(at: start + 4), family: family, address: address)
    }

    private static func value(
        _ type: UInt16, _ bytes: RawSpan, _ start: Int, _ end: Int
    ) -> Attribute? {
        var offset = start
        while offset < end {
            do throws(NetlinkError) {
                let attribute = try bytes.attribute(at: offset, before: end)
                if attribute.type == type { return attribute }
                offset = attribute.next
            } catch {
                return nil
            }
        }
        return nil
    }

    private static func text(
        _ type: UInt16, _ bytes: RawSpan, _ start: Int, _ end: Int
    ) -> String? {
        guard let value = value(type, bytes, start, end) else { return nil }
        let characters = (value.start..<value.end).map { bytes.byte($0) }
        return String(decoding: characters.prefix { $0 != 0 }, as: UTF8.self)
    }

    // MARK: The whole list

    private func readAll() throws(SystemError) {
        var first: UnsafeMutablePointer<ifaddrs>?
        try retrying("getifaddrs") { getifaddrs(&first) }
        defer { freeifaddrs(first) }
        known = []
        up = []
        var next = first
        while let line = next {
            next = line.pointee.ifa_next
            // A label (wan0:1) is found by its device.
            let index = if_nametoindex(line.pointee.ifa_name)
            guard index != 0 else { continue }
            if line.pointee.ifa_flags & UInt32(IFF_UP) != 0 { up.insert(index) }
            let name = String(cString: line.pointee.ifa_name)
            if names[index] == nil || !name.contains(":") { names[index] = name }
            guard let socketAddress = line.pointee.ifa_addr else { continue }
            let raw = UnsafeRawPointer(socketAddress)
            switch CInt(socketAddress.pointee.sa_family) {
            case AF_INET:
                let number = raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr
                add(
                    Known(
                        index: index, family: .ipv4,
                        address: Address(ipv4: UInt32(bigEndian: number))
                    ))
            case AF_INET6:
                let bytes = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
                let halves = unsafeBitCast(bytes, to: (UInt64, UInt64).self)
                add(
                    Known(
                        index: index, family: .ipv6,
                        address: Address(high: halves.0.bigEndian, low: halves.1.bigEndian)))
            default: break
            }
        }
    }
}
