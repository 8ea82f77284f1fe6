// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// A TCP transfer in flight until it is told to finish, every byte of it checked on arrival.
package final class BulkTransfer: Sendable {
    /// What arrived in order and unchanged; each piece is a progress.
    package let gaps = Gaps()
    private let finishing = Box(Atomic(false))
    private let failed = Box(Mutex<(any Error)?>(nil))
    private let sent = Box(Atomic(0))
    private let received = Box(Atomic(0))
    private let complete = Box(Atomic(false))
    private let threads: [Background]

    /// Connects a client to a server's endpoint and starts sending.
    ///
    /// - Parameters:
    ///   - client: where the bytes come from.
    ///   - server: where they go.
    ///   - endpoint: the address the server listens on.
    ///   - target: the address the client connects to, where that is another.
    ///   - bytesPerSecond: the sender's speed.
    ///   - isDownload: whether the server sends.
    package init(
        from client: Namespace, to server: Namespace, at endpoint: Endpoint,
        target: Endpoint? = nil, bytesPerSecond: CInt = 20_000_000, isDownload: Bool = false
    ) throws {
        let listener = try Socket.listening(on: endpoint, in: server)
        let connected = try Socket.connecting(to: target ?? endpoint, in: client)
        var found: Socket?
        try eventually("a connection at \(endpoint)", within: 2, every: 0) {
            found = try listener.accept()
            return found != nil
        }
        guard let accepted = found else { throw NeverHappened("a connection", within: 2) }
        let (sender, receiver) = isDownload ? (accepted, connected) : (connected, accepted)
        try sender.limit(bytesPerSecond: bytesPerSecond)
        let (finishing, failed, sent) = (finishing, failed, sent)
        let (received, complete, gaps) = (received, complete, gaps)
        threads = [
            Background(named: "cts_bulk_send") {
                do {
                    while !finishing.value.load(ordering: .relaxed) {
                        try Self.send(from: sender, at: sent)
                    }
                    sender.finish()
                } catch {
                    failed.value.withLock { $0 = $0 ?? error }
                }
            },
            Background(named: "cts_bulk_recv") {
                do {
                    while true {
                        if try Self.receive(at: receiver, after: received, gaps) { break }
                        let given = failed.value.withLock { $0 != nil }
                        if given { return }
                    }
                    complete.value.store(true, ordering: .releasing)
                } catch {
                    failed.value.withLock { $0 = $0 ?? error }
                }
            },
        ]
    }

    deinit {
        failed.value.withLock { $0 = $0 ?? CallFailed("given up", errno: ECANCELED) }
        finishing.value.store(true, ordering: .relaxed)
    }

    /// Bytes that arrived in order and unchanged.
    package var count: Int { received.value.load(ordering: .relaxed) }

    /// Ends the sending and waits until the last byte has arrived; gives their number.
    ///
    /// - Throws: `NeverHappened` where the end does not arrive or bytes are missing, and what broke
    ///   the connection.
    @discardableResult
    package func finish(within seconds: Double = 10) throws -> Int {
        finishing.value.store(true, ordering: .relaxed)
        try eventually("the end of the transfer", within: seconds) {
            if let error = failed.value.withLock({ $0 }) { throw error }
            return complete.value.load(ordering: .acquiring)
        }
        let (out, back) = (sent.value.load(ordering: .relaxed), count)
        guard out == back else {
            throw NeverHappened("\(out) bytes of the transfer, \(back) came", within: seconds)
        }
        return back
    }

    /// The byte at a place in the stream: no piece looks like another one nearby.
    private static func word(at index: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
    }

    private static let pieceBytes = 64 * 1024

    private static func send(from socket: Socket, at sent: Box<Atomic<Int>>) throws {
        let offset = sent.value.load(ordering: .relaxed)
        let piece = bytes(at: offset, count: pieceBytes)
        let count = try piece.withUnsafeBytes { try socket.send($0) } ?? 0
        sent.value.store(offset + count, ordering: .relaxed)
    }

    /// True at the end of the stream.
    private static func receive(
        at socket: Socket, after received: Box<Atomic<Int>>, _ gaps: Gaps
    ) throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: pieceBytes)
        guard let count = try buffer.withUnsafeMutableBytes({ try socket.receive(into: $0) })
        else { return false }
        if count == 0 { return true }
        let offset = received.value.load(ordering: .relaxed)
        guard buffer.prefix(count).elementsEqual(bytes(at: offset, count: count)) else {
            throw NeverHappened("the bytes that were sent, at \(offset)", within: 0)
        }
        received.value.store(offset + count, ordering: .relaxed)
        gaps.progress()
        return false
    }

    private static func bytes(at offset: Int, count: Int) -> ArraySlice<UInt8> {
        let first = offset / 8
        let words = (count + 15) / 8
        var bytes = [UInt8](repeating: 0, count: words * 8)
        bytes.withUnsafeMutableBytes { raw in
            for index in 0..<words {
                raw.storeBytes(
                    of: word(at: first + index), toByteOffset: index * 8, as: UInt64.self)
            }
        }
        return bytes[(offset - first * 8)..<(offset - first * 8 + count)]
    }
}
