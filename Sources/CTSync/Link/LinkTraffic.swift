// SPDX-License-Identifier: GPL-2.0-or-later

/// The datagrams of the sync links for the thread that reads them: read in batches and opened, sealed
/// and sent.
///
/// Thread: the link's (`ct_sync_recv`). The memory is its own, taken once. When a socket's buffer is
/// full the kernel drops packets.
final class LinkTraffic {
    /// Datagrams of one system call.
    static let batch = 64

    /// Where a packet is written that is to go out: the sync links' largest, or a NACK's.
    let target: UnsafeMutableRawBufferPointer
    private let links: SyncLinks
    private let received: DatagramBuffers
    private let sent: DatagramBuffers
    private let sealer: LinkSealer
    private let opener: LinkOpener
    private var crossing: LinkCrossing
    /// How often the links were read.
    private var turn: UInt64 = 0

    /// Takes the memory.
    ///
    /// - Parameter reach: packets in a master's backlog.
    init(_ links: SyncLinks, _ seal: LinkSeal, reach: Int) throws(SystemError) {
        self.links = links
        crossing = LinkCrossing(linkCount: links.linkCount)
        received = DatagramBuffers(count: Self.batch, byteCount: SyncSocket.largestPacket)
        sent = DatagramBuffers(
            count: links.linkCount,
            byteCount: LinkSealer.room + max(links.largestByteCount, 1_024))
        sealer = try LinkSealer(seal)
        opener = try LinkOpener(sealer, link: links, reach: reach)
        target = UnsafeMutableRawBufferPointer(rebasing: sent.own(0)[LinkSealer.room...])
    }

    // MARK: Reading

    /// Reads a batch of each link in turn. While one has more than a batch the others wait, seven times
    /// of eight: an announcement there would say that what still waits here is lost.
    ///
    /// - Parameter body: called with how many datagrams a link had; `packet` gives them.
    /// - Returns: how many the longest batch had.
    func read(_ body: (_ count: Int) -> Void) -> Int {
        var most = 0
        turn &+= 1
        if links.linkCount > 1 {
            for socket in links.sockets { crossing.has(socket.device.networks, link: socket.place) }
        }
        for socket in links.sockets {
            let count = read(socket)
            body(count)
            most = max(most, count)
            if count == Self.batch, turn % 8 != 0 { break }
        }
        opener.publish()
        return most
    }

    /// A socket that fails has nothing: whoever keeps up the link looks after its device.
    private func read(_ socket: SyncSocket) -> Int {
        do throws(SystemError) {
            return try socket.receive(received)
        } catch {
            return 0
        }
    }

    /// A datagram of the batch, opened; nil if it is dropped.
    func packet(_ index: Int, now: Instant) -> (UnsafeRawBufferPointer, PeerAddress)? {
        guard let (datagram, peer) = received.received(index) else { return nil }
        guard !crossing.isCrossing(peer) else {
            opener.drop(crossing: datagram.bytes, from: peer, now: now)
            return nil
        }
        return opener.open(datagram, from: peer, now: now).map { ($0, peer) }
    }

    /// Packets were asked for again: they may come oftener than once, as they were.
    func askedAgain(now: Instant) {
        opener.askedAgain(now: now)
    }

    // MARK: Sending

    /// Sends the packet that `target` begins with; to be written again afterwards.
    ///
    /// - Parameter peer: nil for everybody.
    /// - Returns: whether the network took it.
    func send(_ length: Int, to peer: PeerAddress?, now: Instant) -> Bool {
        send(datagram(length), peer, now)
    }

    /// Sends a copy of it: each is sealed for itself, where it is.
    ///
    /// - Returns: whether the network took it.
    func sendCopy(_ length: Int, to peer: PeerAddress, now: Instant) -> Bool {
        let datagram = datagram(length)
        let copy = UnsafeMutableRawBufferPointer(rebasing: sent.own(1)[..<datagram.count])
        copy.copyMemory(from: UnsafeRawBufferPointer(datagram))
        return send(copy, peer, now)
    }

    private func datagram(_ length: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: sent.own(0)[..<(LinkSealer.room + length)])
    }

    private func send(
        _ datagram: UnsafeMutableRawBufferPointer, _ peer: PeerAddress?, _ now: Instant
    ) -> Bool {
        let sealer = sealer.sealer(to: peer, now: now)
        sent.point(0, at: self.sealer.finish(datagram, sealer))
        return links.send(sent, count: 1, to: peer) == 0
    }
}
