// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Synchronization

/// Connections in a kernel's table, made without packets at a steady rate.
///
/// Each is created in SYN_RECV, becomes established and assured after 50 ms and is deleted after 100:
/// three events, in batches of a millisecond's worth.
struct Load {
    /// A TCP connection's key, by its number.
    static func key(_ number: Int) -> Key {
        let source = UInt32(0x6440_0000 + (number / 50_000))
        return Key(
            Tuple(
                family: .ipv4, protocolNumber: ProtocolNumber.tcp,
                source: Address(ipv4: source), destination: Address(ipv4: 0xC633_6407),
                sourcePort: UInt16(1_024 + number % 50_000), destinationPort: 443))
    }

    /// The number of a key, where it is one of these.
    static func number(_ key: Key) -> Int? {
        guard key.tuple.destinationPort == 443 else { return nil }
        let host = Int(UInt32(truncatingIfNeeded: key.tuple.source.low)) - 0x6440_0000
        guard host >= 0 else { return nil }
        return host * 50_000 + Int(key.tuple.sourcePort) - 1_024
    }

    static func entry(_ number: Int, isEstablished: Bool) -> Entry {
        var entry = Entry(key(number))
        entry.fields = [.status, .timeout, .protocolInfo]
        entry.status = isEstablished ? [.IPS_SEEN_REPLY, .IPS_ASSURED] : [.IPS_SEEN_REPLY]
        entry.protocolInfo.state = isEstablished ? TCPState.established : TCPState.synRecv
        entry.protocolInfo.originalFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
        entry.protocolInfo.replyFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
        entry.protocolInfo.windowScales = 0x77
        return entry
    }

    /// Makes established connections in the calling thread, which is in the namespace: as many as a request
    /// takes at a time, and a pause after each. They live for ten hours, longer than anything is measured.
    static func fill(_ numbers: Range<Int>, pauseSeconds: Double = 0) throws {
        let batch = try RequestBatch()
        for number in numbers {
            let entry = entry(number, isEstablished: true)
            while !batch.create(entry, timeoutSeconds: 36_000, tag: 0) {
                try batch.send { _, _ in }
                if pauseSeconds > 0 { pause(pauseSeconds) }
            }
        }
        try batch.send { _, _ in }
    }

    /// Runs in the calling thread, which is in the namespace; gives how many connections were made, and
    /// the processor time that took.
    ///
    /// - Parameters:
    ///   - first: the number of the first connection.
    ///   - perSecond: a multiple of 1000.
    static func run(first: Int, perSecond: Int, seconds: Double) throws -> (
        count: Int, nanoseconds: UInt64
    ) {
        let batch = try RequestBatch()
        let each = perSecond / 1_000
        let ticks = Int(seconds * 1_000)
        let before = Measures.threadNanoseconds()
        let start = Stopwatch.seconds()
        for tick in 0..<ticks + 100 {
            let due = start + Double(tick) / 1_000
            while Stopwatch.seconds() < due { pause(0.000_2) }
            for (age, step) in [(0, Step.create), (50, .establish), (100, .delete)] {
                guard (0..<ticks).contains(tick - age) else { continue }
                let begin = first + (tick - age) * each
                for number in begin..<begin + each { try queue(step, number, batch) }
            }
            try batch.send { _, _ in }
        }
        return (ticks * each, Measures.threadNanoseconds() - before)
    }

    private enum Step {
        case create
        case establish
        case delete
    }

    private static func queue(_ step: Step, _ number: Int, _ batch: RequestBatch) throws {
        let tag = UInt32(truncatingIfNeeded: number)
        while true {
            let isQueued =
                switch step {
                case .create:
                    batch.create(entry(number, isEstablished: false), timeoutSeconds: 60, tag: tag)
                case .establish:
                    batch.update(entry(number, isEstablished: true), timeoutSeconds: 600, tag: tag)
                case .delete: batch.delete(key(number), tag: tag)
                }
            if isQueued { return }
            try batch.send { _, _ in }
        }
    }
}

extension Load {
    /// A load that goes on until it is stopped.
    final class Endless: Sendable {
        private let running = Box(Atomic(true))
        private let result = Box(Mutex<Result<Double, any Error>>(.success(0)))
        private let thread: Background

        init(in master: Firewall, perSecond: Int) {
            let (running, result) = (running, result)
            thread = Background(named: "load") {
                let outcome = Result { () throws -> Double in
                    try master.host.inside {
                        var (first, count) = (2_000_000, 0)
                        let start = Stopwatch.seconds()
                        while running.value.load(ordering: .relaxed) {
                            // Numbers come again when their connections have ended, and are below
                            // those of the entries that stay.
                            count += try Load.run(first: first, perSecond: perSecond, seconds: 2)
                                .count
                            first = first == 2_000_000 ? 2_500_000 : 2_000_000
                        }
                        return Double(count) / (Stopwatch.seconds() - start)
                    }
                }
                result.value.withLock { $0 = outcome }
            }
        }

        /// Ends it; how many connections a second it has made.
        func stop() throws -> Double {
            running.value.store(false, ordering: .relaxed)
            thread.join()
            return try result.value.withLock { try $0.get() }
        }
    }
}
