// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Room for up to 64 netlink datagrams, received with one recvmmsg(2).
///
/// One thread uses it. All of it is taken at the start; a datagram is valid until the next receive.
struct DatagramBatch: ~Copyable {
    /// Datagrams a call.
    static let capacity = 64
    /// Bytes a datagram: the largest event has some 700. Not a power of two, or all datagrams would
    /// share the same few lines of the first-level cache.
    static let stride = 2048 + 64

    private let memory: MappedMemory
    private let headers: UnsafeMutablePointer<ctsync_mmsghdr>
    private let vectors: UnsafeMutablePointer<iovec>

    init() throws(SystemError) {
        memory = try MappedMemory(byteCount: Self.capacity * Self.stride)
        headers = .allocate(capacity: Self.capacity)
        vectors = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            vectors[index] = iovec(
                iov_base: memory.base + index * Self.stride, iov_len: Self.stride)
            headers[index] = ctsync_mmsghdr()
            headers[index].header.msg_iov = vectors + index
            headers[index].header.msg_iovlen = 1
        }
    }

    deinit {
        headers.deallocate()
        vectors.deallocate()
    }

    /// Receives what is there, without waiting.
    ///
    /// - Returns: how many datagrams came, 0 when there was none.
    /// - Throws: `SystemError` of recvmmsg(2); ENOBUFS when the kernel had to drop datagrams before.
    func receive(from descriptor: CInt) throws(SystemError) -> Int {
        let received = try retryingNonBlocking("recvmmsg on netlink") {
            ctsync_recvmmsg(descriptor, headers, UInt32(Self.capacity))
        }
        return Int(received ?? 0)
    }

    /// A received datagram's bytes; empty if it did not fit.
    subscript(index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < Self.capacity)
        let cut = headers[index].header.msg_flags & CInt(MSG_TRUNC) != 0
        return UnsafeRawBufferPointer(
            start: memory.base + index * Self.stride, count: cut ? 0 : Int(headers[index].length))
    }
}
