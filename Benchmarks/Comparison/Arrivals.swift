// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Synchronization

/// The time from an entry at the master to the same entry in the standby's kernel, which is asked for it
/// every 200 us. A standby that is given a million others has nobody who listens to all of these.
final class Arrivals: Sendable {
    private let requests: Box<Mutex<RequestBatch>>
    private let query: Box<Mutex<EntryQuery>>

    init(from master: Firewall, to standby: Firewall) throws {
        requests = try master.host.inside { Box(Mutex(try RequestBatch())) }
        query = try standby.host.inside { Box(Mutex(try EntryQuery())) }
    }

    /// Makes an entry and waits for it; gives microseconds, nil if it did not come within a second.
    func one(_ number: Int) throws -> Double? {
        let entry = Load.entry(Latency.first + number, isEstablished: true)
        try requests.value.withLock { batch in
            _ = batch.create(entry, timeoutSeconds: 600, tag: 0)
            try batch.send { _, _ in }
        }
        // A call of one node waits for the other's, which on machines of their own it would not.
        let start = Stopwatch.seconds()
        while Stopwatch.seconds() < start + 1 {
            if try query.value.withLock({ try $0.entry(entry.key) != nil }) {
                return (Stopwatch.seconds() - start) * 1e6
            }
            pause(0.000_2)
        }
        return nil
    }
}
