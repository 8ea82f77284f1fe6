// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Message headers, addresses and, for receiving, memory for a batch of datagrams; made once.
///
/// Used by one thread.
final class DatagramBuffers {
    /// Datagrams in a batch.
    let count: Int
    /// The link that datagrams were received by last.
    var link: UInt8 = 0
    let headers: UnsafeMutablePointer<ctsync_mmsghdr>
    private let vectors: UnsafeMutablePointer<iovec>
    private let addresses: UnsafeMutablePointer<sockaddr_in6>
    private let memory: UnsafeMutableRawBufferPointer
    private let byteCount: Int
    /// Datagrams that were received last.
    private var filled = 0
    private static let addressByteCount = socklen_t(MemoryLayout<sockaddr_in6>.size)

    /// Takes the memory of a batch.
    ///
    /// - Parameter byteCount: bytes of a datagram's own memory; longer ones are cut.
    init(count: Int, byteCount: Int) {
        self.count = count
        self.byteCount = byteCount
        headers = .allocate(capacity: count)
        headers.initialize(repeating: ctsync_mmsghdr(), count: count)
        vectors = .allocate(capacity: count)
        vectors.initialize(repeating: iovec(), count: count)
        addresses = .allocate(capacity: count)
        addresses.initialize(repeating: sockaddr_in6(), count: count)
        memory = .allocate(byteCount: count * byteCount, alignment: 64)
        for index in 0..<count {
            headers[index].header.msg_iov = vectors + index
            headers[index].header.msg_iovlen = 1
            headers[index].header.msg_name = UnsafeMutableRawPointer(addresses + index)
            headers[index].header.msg_namelen = Self.addressByteCount
            vectors[index] = iovec(
                iov_base: memory.baseAddress.map { $0 + index * byteCount }, iov_len: byteCount)
        }
    }

    deinit {
        headers.deallocate()
        vectors.deallocate()
        addresses.deallocate()
        memory.deallocate()
    }

    /// Receives what is there, without waiting.
    ///
    /// - Returns: how many datagrams came, 0 when there was none.
    /// - Throws: `SystemError` of recvmmsg(2).
    func receive(from descriptor: CInt) throws(SystemError) -> Int {
        // The kernel has put the lengths of the last addresses in.
        for index in 0..<filled { headers[index].header.msg_namelen = Self.addressByteCount }
        filled = 0
        let received = try retryingNonBlocking("recvmmsg") {
            ctsync_recvmmsg(descriptor, headers, UInt32(count))
        }
        filled = Int(received ?? 0)
        return filled
    }

    /// A received datagram and its sender; nil if the sender is of no family we know.
    func received(_ index: Int) -> (UnsafeMutableRawBufferPointer, PeerAddress)? {
        guard var peer = PeerAddress(UnsafeRawPointer(addresses + index)) else { return nil }
        peer.link = link
        let length = min(Int(headers[index].length), byteCount)
        return (UnsafeMutableRawBufferPointer(rebasing: own(index)[..<length]), peer)
    }

    /// A datagram's own memory.
    func own(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[index * byteCount..<(index + 1) * byteCount])
    }

    /// Lets a datagram be sent from these bytes, which stay where they are.
    func point(_ index: Int, at bytes: UnsafeMutableRawBufferPointer) {
        vectors[index] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
    }

    /// What `point` pointed at.
    func pointed(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: vectors[index].iov_base, count: vectors[index].iov_len)
    }

    /// Writes the receiver of the first `count` datagrams, for a socket of this family.
    func address(to peer: PeerAddress, scope: UInt32, as socket: Family, count: Int) {
        for index in 0..<count {
            headers[index].header.msg_namelen = peer.write(
                scope: scope, as: socket, to: UnsafeMutableRawPointer(addresses + index))
        }
    }
}
