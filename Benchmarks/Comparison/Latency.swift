// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Glibc
import Synchronization

/// The time from an entry at the master to the same entry in the standby's kernel.
final class Latency: Sendable {
    /// Numbers of connections that no load has.
    static let first = 20_000_000

    private let arrivals = Box(Mutex<[Int: Double]>([:]))
    private let running = Box(Atomic(true))
    private let thread: Background

    /// Listens at the standby.
    init(at standby: Firewall) throws {
        let (arrivals, running) = (arrivals, running)
        let failed = Box(Mutex<(any Error)?>(nil))
        let ready = Box(Atomic(false))
        thread = Background(named: "listen") {
            do {
                try standby.host.inside {
                    let events = try EventSocket(receiveBufferBytes: 32 << 20)
                    ready.value.store(true, ordering: .releasing)
                    while running.value.load(ordering: .relaxed) {
                        var polled = pollfd(fd: events.raw, events: Int16(POLLIN), revents: 0)
                        guard poll(&polled, 1, 50) > 0 else { continue }
                        _ = try events.receive { kind, entry in
                            guard kind == .new, let number = Load.number(entry.key),
                                number >= Self.first
                            else { return }
                            let now = Stopwatch.seconds()
                            arrivals.value.withLock { $0[number] = $0[number] ?? now }
                        }
                    }
                }
            } catch {
                failed.value.withLock { $0 = error }
            }
        }
        try eventually("a listener at the standby") {
            if let error = failed.value.withLock({ $0 }) { throw error }
            return ready.value.load(ordering: .acquiring)
        }
    }

    /// Makes single entries at the master, some milliseconds apart; gives the sorted microseconds of
    /// those that came within a second.
    func measure(from master: Firewall, samples: Int, offset: Int) throws -> [Double] {
        let arrivals = arrivals
        let sent = try master.host.inside { () throws -> [Double] in
            let batch = try RequestBatch()
            return try (0..<samples).map { sample in
                pause(0.003 + Double(sample % 7) / 3_000)
                let number = Self.first + offset + sample
                let entry = Load.entry(number, isEstablished: true)
                _ = batch.create(entry, timeoutSeconds: 600, tag: 0)
                let now = Stopwatch.seconds()
                try batch.send { _, _ in }
                return now
            }
        }
        pause(1)
        return arrivals.value.withLock { arrivals in
            sent.enumerated().compactMap { index, time in
                arrivals[Self.first + offset + index].map { ($0 - time) * 1_000_000 }
            }.sorted()
        }
    }

    /// Deletes what `measure` made at the master, ten entries a millisecond.
    func clear(at master: Firewall, samples: Int, offset: Int) throws {
        try master.host.inside {
            let batch = try RequestBatch()
            for sample in 0..<samples {
                _ = batch.delete(Load.key(Self.first + offset + sample), tag: 0)
                guard sample % 10 == 9 || sample == samples - 1 else { continue }
                try batch.send { _, _ in }
                pause(0.001)
            }
        }
    }

    func stop() {
        running.value.store(false, ordering: .relaxed)
        thread.join()
    }
}
