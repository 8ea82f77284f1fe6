// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Synchronization
import Testing

extension ClusterTests {
    /// Keys that change while connections come and go: no slave needs the whole table for it.
    @Suite struct KeyRotationTests {
        /// Old and new key, new and old, the new one: on each node in turn.
        @Test func aKeyIsReplacedUnderLoad() throws {
            try withCluster { cluster in
                let files = KeyFiles(cluster: cluster)
                try files.startPair([1])
                try Self.underLoad(cluster) { load in
                    for (keys, number) in [([1, 2], 2), ([2, 1], 2), ([2], 1)]
                        as [([UInt8], Int)]
                    {
                        for node in cluster.firewalls {
                            try files.write(keys, for: node)
                            try files.rekey(node)
                            #expect(try node.count("keys", in: "seal") == number)
                            try load.goesOn(cluster)
                        }
                    }
                }
                for node in cluster.firewalls {
                    for reason in ["another_key", "tag", "unsealed"] {
                        #expect(try node.bad(reason) == 0, "\(reason) at \(node.name)")
                    }
                }
            }
        }

        /// From no key to one: permissive on each node in turn, then strict on each.
        @Test func aClusterGetsAKeyUnderLoad() throws {
            try withCluster { cluster in
                let files = KeyFiles(cluster: cluster)
                let nodes = cluster.firewalls
                try files.startPair([])
                try Self.underLoad(cluster) { load in
                    for node in [nodes[1], nodes[0]] {
                        try files.write([1], "permissive", for: node)
                        try files.rekey(node)
                        try load.goesOn(cluster)
                    }
                    try eventually("the master seals by itself", within: 20) {
                        try nodes[0].sealsToAll()
                    }
                    for node in [nodes[0], nodes[1]] {
                        try files.write([1], "strict", for: node)
                        try files.rekey(node)
                        try load.goesOn(cluster)
                    }
                }
                let before = try nodes.map { try $0.bad("unsealed") }
                try MadeEntries.create(0..<100, in: nodes[0].host)
                try nodes[1].waitForEqualTable(to: nodes[0], atLeast: 100)
                #expect(try nodes.map { try $0.bad("unsealed") } == before)
            }
        }

        /// A master that has just heard somebody without a seal sends without one for a while: what a slave drops
        /// of it, as it is strict already, it gets again with a seal.
        @Test func theSlaveIsStrictBeforeTheMasterSeals() throws {
            try withCluster { cluster in
                let files = KeyFiles(cluster: cluster)
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                try files.startPair([])
                try Self.underLoad(cluster) { load in
                    for (node, mode) in [
                        (master, "permissive"), (slave, "permissive"), (slave, "strict"),
                    ] {
                        try files.write([1], mode, for: node)
                        try files.rekey(node)
                    }
                    try eventually("the slave drops what has no seal") {
                        try slave.bad("unsealed") > 0
                    }
                    try load.goesOn(cluster)
                }
                #expect(try slave.count("packets_recovered") > 0)
            }
        }

        /// While connections are made and ended, 2,000 a second if the machine has time for them, a body is run; afterwards the tables are equal, nothing was lost and nobody asked for an initsync.
        private static func underLoad(_ cluster: Cluster, _ body: (Load) throws -> Void) throws {
            let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
            let before = try RepairCounts(slave)
            let began = Stopwatch.seconds()
            let load = Load(in: master.host)
            do {
                try load.goesOn(cluster)
                try body(load)
            } catch {
                load.stop()
                throw error
            }
            load.stop()
            let rate = Double(load.made) / (Stopwatch.seconds() - began)
            print("keys changed under \(Int(rate)) connections/s")
            try slave.waitForEqualTable(to: master, atLeast: 1)
            #expect(try RepairCounts(slave) == before)
            #expect(try master.count("ring_overruns") == 0)
            #expect(load.failure() == nil)
        }

        /// Connections that are made, 2,000 a second, and ended when 200 more were, in a thread.
        private final class Load: Sendable {
            private static let (rate, batch) = (2_000, 20)
            private let isStopped = Atomic<Bool>(false)
            private let error = Mutex<String?>(nil)
            private let count = Atomic<Int>(0)
            private let thread = Mutex<Background?>(nil)

            init(in host: Namespace) {
                let background = Background(named: "load") { [self] in
                    var first = 1_000
                    var due = Stopwatch.seconds()
                    while !isStopped.load(ordering: .relaxed) {
                        do {
                            let steps = (first..<first + Self.batch).flatMap { number in
                                number < 1_200
                                    ? [MadeEntries.Step.create(number)]
                                    : [.create(number), .delete(number - 200)]
                            }
                            try MadeEntries.apply(steps, in: host)
                        } catch {
                            self.error.withLock { $0 = "\(error)" }
                            return
                        }
                        first += Self.batch
                        count.wrappingAdd(Self.batch, ordering: .relaxed)
                        due += Double(Self.batch) / Double(Self.rate)
                        pause(due - Stopwatch.seconds())
                    }
                }
                thread.withLock { $0 = background }
            }

            func stop() {
                isStopped.store(true, ordering: .relaxed)
                thread.withLock { $0.take() }?.join()
            }

            /// Connections that were made so far.
            var made: Int { count.load(ordering: .relaxed) }

            func failure() -> String? { error.withLock { $0 } }

            /// Waits until the slave has applied what the master sends from now on.
            func goesOn(_ cluster: Cluster) throws {
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                let sent = try master.count("sequence")
                try eventually(
                    "the stream goes on", detail: { "\(master.statusLine)\(slave.statusLine)" }
                ) {
                    try slave.count("sequence") > sent + 20
                }
            }
        }
    }
}
