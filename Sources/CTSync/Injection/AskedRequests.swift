// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The requests of a batch that has not been answered yet, in their order, and their answers.
///
/// A tag is a request's number in the batch below the batch's own number, so that the late answer to
/// an earlier batch is that of no request.
struct AskedRequests<Operation: BitwiseCopyable>: ~Copyable {
    /// The most of one batch; `RequestBatch` has room for 3,300.
    static var limit: Int { 1 << indexBits }
    private static var indexBits: UInt32 { 12 }

    struct Request: BitwiseCopyable {
        var operation: Operation
        var place: UInt32
        /// 0 if the kernel did as it was asked.
        var errno: Int32
    }

    private(set) var count = 0
    private var batch: UInt32 = 0
    private let memory: MappedMemory
    private let requests: UnsafeMutablePointer<Request>

    init() throws(SystemError) {
        memory = try MappedMemory(byteCount: Self.limit * MemoryLayout<Request>.stride)
        requests = memory.base.bindMemory(to: Request.self, capacity: Self.limit)
    }

    subscript(index: Int) -> Request { requests[index] }

    /// Whether no more may be asked before the answers are taken.
    var isFull: Bool { count == Self.limit }

    /// The tag of the next request.
    var tag: UInt32 { batch << Self.indexBits | UInt32(count) }

    /// Adds a request; there must be room.
    mutating func append(_ operation: Operation, _ place: UInt32) {
        requests[count] = Request(operation: operation, place: place, errno: 0)
        count += 1
    }

    /// Sends the batch that they are in, and takes the answers.
    ///
    /// - Parameters:
    ///   - name: the batch's, for the error.
    ///   - unanswered: called with each place if what became of the batch is not known.
    /// - Throws: `SystemError` of the sending; ENOBUFS if answers were lost.
    func send(
        _ socket: any KernelRequests, _ name: StaticString, unanswered: (UInt32) -> Void
    ) throws(SystemError) {
        do throws(SystemError) {
            let outcome = try socket.send { tag, errno in refused(tag, errno) }
            guard !outcome.lostErrors else {
                throw SystemError("errors of \(name)", errno: ENOBUFS)
            }
        } catch {
            for index in 0..<count { unanswered(requests[index].place) }
            throw error
        }
    }

    /// Takes a refusal.
    func refused(_ tag: UInt32, _ errno: Int32) {
        let index = Int(tag & (1 << Self.indexBits - 1))
        guard tag >> Self.indexBits == batch, index < count else { return }
        requests[index].errno = errno
    }

    /// Begins the next batch.
    mutating func removeAll() {
        count = 0
        batch = (batch &+ 1) & (.max >> Self.indexBits)
    }
}
