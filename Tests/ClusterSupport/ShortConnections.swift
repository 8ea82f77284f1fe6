// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// TCP connections that are opened, carry one exchange with an `EchoServer` and are closed, so many a
/// second, from several threads.
///
/// One that connect(2) has said to be established must come to its end; one that is not answered at
/// all for two seconds was never there, and is counted apart.
package final class ShortConnections: Sendable {
    /// What became of them.
    package struct Count: Sendable {
        package var opened = 0
        package var finished = 0
        package var lost = 0
        /// Nothing answered their SYN.
        package var unanswered = 0
        /// Why the first ones were lost.
        package var reasons: [String] = []
    }

    /// Each that has finished is a progress.
    package let gaps = Gaps()
    private let running = Box(Atomic(true))
    private let state = Box(Mutex(Count()))
    private let threads: [Background]

    /// Starts them.
    ///
    /// - Parameters:
    ///   - rate: connections a second, if each ends soon.
    ///   - seconds: how long an exchange may take.
    package init(
        from client: Namespace, to server: Endpoint, perSecond rate: Int, within seconds: Double
    ) throws {
        // Ports of connections that have ended are used again after a second.
        try client.set(["net.ipv4.tcp_tw_reuse": 1])
        let (running, state, gaps) = (running, state, gaps)
        let interval = Double(Self.threadCount) / Double(rate)
        threads = (0..<Self.threadCount).map { number in
            Background(named: "cts_short") {
                let first = Stopwatch.seconds() + interval * Double(number) / 25
                _ = try? client.inside {
                    var due = first
                    while running.value.load(ordering: .relaxed) {
                        pause(due - Stopwatch.seconds())
                        due = max(due + interval, Stopwatch.seconds())
                        Self.one(to: server, within: seconds, state, gaps)
                    }
                }
            }
        }
    }

    deinit { running.value.store(false, ordering: .relaxed) }

    private static let threadCount = 25

    private static func one(
        to server: Endpoint, within seconds: Double, _ state: Box<Mutex<Count>>, _ gaps: Gaps
    ) {
        let connection: EchoConnection
        do {
            connection = try EchoConnection(to: server)
        } catch {
            return state.value.withLock { $0.unanswered += 1 }
        }
        state.value.withLock { $0.opened += 1 }
        do {
            try connection.exchange(within: seconds)
            gaps.progress()
            state.value.withLock { $0.finished += 1 }
        } catch {
            state.value.withLock {
                $0.lost += 1
                guard $0.reasons.count < 3 else { return }
                $0.reasons.append("port \(connection.localPort): \(error)")
            }
        }
    }

    /// So far.
    package var count: Count { state.value.withLock { $0 } }

    /// Opens no more, waits for those that are open, and gives their number.
    package func finish() -> Count {
        running.value.store(false, ordering: .relaxed)
        for thread in threads { thread.join() }
        return count
    }
}
