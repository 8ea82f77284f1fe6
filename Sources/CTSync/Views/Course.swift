// SPDX-License-Identifier: GPL-2.0-or-later

/// What a node counted in the last minutes, a sample a second: for graphs and rates.
package struct Course: Sendable {
    /// One look at the daemon.
    package struct Sample: Sendable, Equatable {
        /// When, in microseconds since 1970.
        package var time: UInt64 = 0
        /// Entries in the table, or replicas.
        package var connections: UInt64 = 0
        /// Packets of the sync link, since the daemon's start, as all that follow.
        package var packetsIn: UInt64 = 0
        /// Packets that went out.
        package var packetsOut: UInt64 = 0
        /// Bytes of those that came in ...
        package var bytesIn: UInt64 = 0
        /// ... and of those that went out.
        package var bytesOut: UInt64 = 0
        /// Events of a master's kernel.
        package var events: UInt64 = 0
        /// Entries that a slave has created in its kernel's table ...
        package var created: UInt64 = 0
        /// ... changed there ...
        package var updated: UInt64 = 0
        /// ... and deleted.
        package var deleted: UInt64 = 0

        /// Nothing.
        package init() {}

        /// The counts of a status.
        init(_ status: StatusReport, time: UInt64) {
            func number(_ path: String) -> UInt64 {
                guard case .number(let number) = status.value(at: path) else { return 0 }
                return number
            }
            self.time = time
            connections = number("entries.held")
            packetsIn = number("link.packets_in")
            packetsOut = number("link.packets_out")
            bytesIn = number("link.bytes_in")
            bytesOut = number("link.bytes_out")
            events = number("counters.events")
            created = number("counters.injected.created")
            updated = number("counters.injected.updated")
            deleted = number("counters.injected.deleted")
        }
    }

    /// The most samples that are kept.
    private let limit: Int
    /// The oldest first.
    package private(set) var samples: [Sample] = []

    /// A course of so many samples.
    package init(limit: Int) {
        self.limit = limit
        samples.reserveCapacity(limit)
    }

    /// Adds one; the oldest goes.
    mutating func add(_ sample: Sample) {
        if samples.count == limit { samples.removeFirst() }
        samples.append(sample)
    }

    /// The rate a second between the last two samples; nil without two, and after a restart.
    func rate(_ count: KeyPath<Sample, UInt64>) -> UInt64? {
        guard samples.count >= 2 else { return nil }
        return Self.rate(samples[samples.count - 2], samples[samples.count - 1], count)
    }

    /// All rates, 0 for unknown ones.
    func rates(_ count: KeyPath<Sample, UInt64>) -> [UInt64] {
        zip(samples, samples.dropFirst()).map { Self.rate($0, $1, count) ?? 0 }
    }

    private static func rate(
        _ old: Sample, _ new: Sample, _ count: KeyPath<Sample, UInt64>
    ) -> UInt64? {
        let (before, after) = (old[keyPath: count], new[keyPath: count])
        guard new.time > old.time, after >= before else { return nil }
        let seconds = Double(new.time - old.time) / 1e6
        return UInt64((Double(after - before) / seconds).rounded())
    }

    /// The samples after a time as arrays of JSON: time in seconds, connections, packets in and out,
    /// bytes in and out.
    package func json(after time: UInt64) -> String {
        let rows = samples.filter { $0.time > time }.map { sample in
            "[\(StatusValue.decimal(Int64(clamping: sample.time))),\(sample.connections)"
                + ",\(sample.packetsIn),\(sample.packetsOut),\(sample.bytesIn),\(sample.bytesOut)]"
        }
        return "[\(rows.joined(separator: ","))]"
    }
}
