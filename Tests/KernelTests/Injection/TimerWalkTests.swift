// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization
import Testing

@testable import CTSync
@testable import CTSyncTests

/// The walk that starts the timers, and what comes between two of its steps.
@Suite(.serialized) struct TimerWalkTests {
    /// A connection of loopback's own, whose time is what an established one has by default.
    private static let open = SampleEntries.entry(
        Tuple(
            family: .ipv4, protocolNumber: ProtocolNumber.tcp, source: Address(ipv4: loopback),
            destination: Address(ipv4: loopback), sourcePort: 4_000, destinationPort: 80)
    ) { $0.timeoutSeconds = 432_000 }
    private static let loopback: UInt32 = 0x7F00_0001

    /// A segment without data, from the client or the server; its checksum is wrong, so that no host takes it.
    struct Segment: Sendable {
        let isReply: Bool
        let flags: UInt8
        static let (fin, reset, ack): (UInt8, UInt8, UInt8) = (0x01, 0x04, 0x10)

        func send() throws {
            let ports: [UInt8] = [0x0F, 0xA0, 0, 80]
            let numbers: [UInt8] = [0, 0, 4, 0, 0, 0, 8, 0]
            let bytes =
                (isReply ? ports[2...] + ports[..<2] : ports[...])
                + (isReply ? numbers[4...] + numbers[..<4] : numbers[...])
                + [0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]
            try NetworkNamespace.sendRaw(ProtocolNumber.tcp, Array(bytes), to: loopback)
        }
    }

    struct Closing: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let segments: [Segment]
        /// What the kernel makes of it.
        let state: UInt8
    }

    private static let bothSides = [
        Segment(isReply: false, flags: Segment.fin | Segment.ack),
        Segment(isReply: true, flags: Segment.fin | Segment.ack),
        Segment(isReply: false, flags: Segment.ack),
    ]

    static let closings = [
        Closing(
            testDescription: "a reset", segments: [Segment(isReply: false, flags: Segment.reset)],
            state: TCPState.close),
        Closing(
            testDescription: "one side", segments: Array(bothSides[..<1]),
            state: TCPState.finWait),
        Closing(testDescription: "both sides", segments: bothSides, state: TCPState.timeWait),
    ]

    /// What is still to be sent.
    private final class Pending: Sendable {
        private let segments: Mutex<[Segment]>

        init(_ segments: [Segment]) { self.segments = Mutex(segments) }

        func send() {
            let all = segments.withLock { segments in
                defer { segments = [] }
                return segments
            }
            do {
                for segment in all { try segment.send() }
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    /// Has the kernel hold the connection for a master, and walks as after a promotion, until the timers have
    /// started.
    ///
    /// - Parameter look: called after each step with the time of the next, and the kernel's entry.
    private static func start(
        _ kernel: MeddledKernel, _ look: (inout Instant, Entry) -> Void
    ) throws -> TimerStart {
        let table = try ReplicaTable(capacity: 64, seed: 1)
        _ = table.update(open, isNew: true, isCopy: false, now: 1)
        try Injector(try RequestBatch(), try EntryQuery()).apply(table, now: 1)
        var now = Duration.second
        let timers = TimerStart()
        let aftermath = try Aftermath(
            kernel, timers, WindowMender(), table, includesUnread: false, promotedAt: now)
        let query = try EntryQuery()
        while !aftermath.haveTimersStarted {
            _ = aftermath.step(now: now)
            look(&now, try #require(try query.entry(open.key)))
        }
        return timers
    }

    /// A packet closes the connection when the walk has read it: then the walk's request arrives, with the time
    /// of an open one.
    @Test(arguments: closings) func whatClosesMeanwhileGetsItsTimeBack(_ closing: Closing) throws {
        try NetworkNamespace.run(isTracking: true) {
            let pending = Pending(closing.segments)
            var kernel = MeddledKernel()
            kernel.afterPiece = { count throws(SystemError) in if count > 0 { pending.send() } }
            var times: [UInt32] = []
            _ = try Self.start(kernel) { _, entry in
                if entry.protocolInfo.state == closing.state { times.append(entry.timeoutSeconds) }
            }
            let closed = try #require(try EntryQuery().entry(Self.open.key))
            #expect(closed.protocolInfo.state == closing.state)
            #expect(closed.timeoutSeconds <= closed.defaultTimeoutSeconds)
            #expect(times.contains { $0 > 400_000 }, "no race: \(times)")
        }
    }

    /// A dump that breaks off, and requests that are lost, are made again a second later.
    @Test(arguments: [true, false]) func aWalkThatFailsIsMadeAgain(_ isDump: Bool) throws {
        try NetworkNamespace.run(isTracking: true) {
            let hasFailed = Flag()
            @Sendable func fail() throws(SystemError) {
                if hasFailed.set(true) { return }
                throw SystemError("a walk", errno: ENOBUFS)
            }
            var kernel = MeddledKernel()
            if isDump {
                kernel.afterPiece = { _ throws(SystemError) in try fail() }
            } else {
                kernel.beforeRequests = fail
            }
            let timers = try Self.start(kernel) { now, _ in now += 300 * Duration.millisecond }
            let entry = try #require(try EntryQuery().entry(Self.open.key))
            #expect(timers.failureCount == 1)
            #expect(entry.timeoutSeconds > 400_000, "\(entry.timeoutSeconds)")
        }
    }
}
