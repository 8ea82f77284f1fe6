// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization

/// Packets that tell when a firewall begins to forward: small UDP datagrams, thousands a second,
/// and the time at which the first one arrives.
package final class ForwardingProbe: Sendable {
    /// Between two packets; the scheduler makes it some 0.25 ms.
    private static let intervalMicroseconds: UInt32 = 200

    private struct Arrivals {
        var count = 0
        var last = 0.0
        /// Since it was armed.
        var first: Double?
    }
    private let arrivals = Box(Mutex(Arrivals()))
    private let running = Box(Atomic(true))
    private let threads: [Background]

    /// Starts sending from a client to an endpoint of a server.
    package init(
        from client: Namespace, to server: Namespace, at endpoint: Endpoint
    ) throws {
        let arriving = try Socket.datagrams(from: endpoint, in: server)
        let sending = try Socket.datagrams(to: endpoint, in: client)
        let (arrivals, running) = (arrivals, running)
        threads = [
            Background(named: "cts_probe_send") {
                while running.value.load(ordering: .relaxed) {
                    // Refused while the client finds no firewall; the next one may go.
                    _ = try? sending.send([0])
                    usleep(Self.intervalMicroseconds)
                }
            },
            Background(named: "cts_probe_recv") {
                var byte: [UInt8] = [0]
                while running.value.load(ordering: .relaxed) {
                    let count = byte.withUnsafeMutableBytes { try? arriving.receive(into: $0) }
                    guard count != nil else { continue }
                    let now = Stopwatch.seconds()
                    arrivals.value.withLock { arrivals in
                        arrivals.count += 1
                        arrivals.last = now
                        arrivals.first = arrivals.first ?? now
                    }
                }
            },
        ]
    }

    deinit { stop() }

    /// Ends it.
    package func stop() {
        running.value.store(false, ordering: .relaxed)
        for thread in threads { thread.join() }
    }

    /// Waits until packets arrive.
    package func waitForArrivals() throws {
        let before = arrivals.value.withLock { $0.count }
        try eventually("packets of the probe arrive") {
            arrivals.value.withLock { $0.count } > before + 20
        }
    }

    /// Waits until nothing has arrived for a while, then watches for the first packet.
    package func arm(silenceSeconds: Double = 0.03) throws {
        try eventually("nothing is forwarded any more") {
            let now = Stopwatch.seconds()
            return arrivals.value.withLock { arrivals in
                guard now - arrivals.last > silenceSeconds else { return false }
                arrivals.first = nil
                return true
            }
        }
    }

    /// Waits for the first packet since `arm`; gives its time on the clock of `Stopwatch`.
    package func firstArrival(within seconds: Double = 10) throws -> Double {
        try eventually("a packet is forwarded", within: seconds, every: 0.0005) {
            arrivals.value.withLock { $0.first != nil }
        }
        guard let first = arrivals.value.withLock({ $0.first }) else {
            throw NeverHappened("a packet is forwarded", within: seconds)
        }
        return first
    }
}
