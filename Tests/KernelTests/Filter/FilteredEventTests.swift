// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Events, the filters that see them, and what a slave makes of the rest: on a real kernel.
@Suite(.serialized) struct FilteredEventTests {
    /// What a slave holds after what the sieve lets through, in memory only.
    private final class Told {
        let socket: EventSocket
        let sieve: EventSieve
        let filter: ReplicationFilter
        let table: ReplicaTable
        var events = 0
        var log: [String] = []

        init(_ filter: ReplicationFilter, inKernel: Bool) throws {
            self.filter = filter
            socket = try EventSocket(receiveBufferBytes: 4 << 20)
            sieve = EventSieve(try EntryQuery())
            table = try ReplicaTable(capacity: 4_096, seed: 1)
            if inKernel, let program = SocketFilter(filter.rules) { try socket.attach(program) }
        }

        /// Takes all events that wait; an update of one of the silent ids says no TCP state.
        func drain(silent: Set<UInt32> = []) throws {
            while true {
                let result = try socket.receive { kind, event in
                    events += 1
                    var entry = copy event
                    if kind == .update, silent.contains(entry.id) {
                        entry.fields.remove(.protocolInfo)
                        entry.protocolInfo = ProtocolInfo()
                    }
                    take(kind, &entry)
                }
                #expect(!result.overrun)
                if result.isDrained { return }
            }
        }

        private func take(_ kind: CtnetlinkKind, _ entry: inout Entry) {
            let outcome = sieve.sift(kind, &entry, filter)
            if outcome != .nothing {
                log.append("\(outcome) \(entry.key) \(entry.mark) \(entry.protocolInfo.state)")
            }
            switch outcome {
            case .nothing: return
            case .lost: Issue.record("the kernel cannot be asked")
            case .delete: table.delete(entry.key, now: 0)
            case .update, .whole:
                entry.prepareForReplication()
                let result = table.update(entry, isNew: kind == .new, isCopy: false, now: 0)
                #expect(result == .applied, "\(result) \(entry.summary)")
            }
        }

        var held: [Key: Entry] {
            var entries: [Key: Entry] = [:]
            table.forEachAlive { place, _ in
                let entry = table.book.entry(at: place)
                entries[entry.key] = entry
            }
            return entries
        }
    }

    private func filter(_ texts: String...) throws -> ReplicationFilter {
        ReplicationFilter(
            ownAddresses: [], syncNetworks: [],
            rules: try texts.map { try ReplicationRule(text: $0) })
    }

    private func apply(_ fill: (RequestBatch) -> Void) throws {
        let batch = try RequestBatch()
        fill(batch)
        try batch.send { Issue.record("\($0) \($1)") }
    }

    // MARK: One connection's life

    @Test func aConnectionThatEntersLateArrivesWhole() throws {
        // A rule there uses labels: entries have room for them.
        try NetworkNamespace.run(isTracking: true) {
            let told = try Told(try filter("accept mark 1/1"), inKernel: true)
            var entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 10, 80)) {
                $0.mark = 2
                $0.extras.labelsLow = 5
                $0.fields.insert(.labels)
            }
            try apply { #expect($0.create(entry, timeoutSeconds: 60, tag: 0)) }
            try told.drain()
            #expect(told.held.isEmpty)
            entry.mark = 3
            entry.fields.remove(.protocolInfo)
            entry.fields.remove(.labels)
            try apply { #expect($0.update(entry, timeoutSeconds: 60, tag: 0)) }
            let id = try #require(try NetworkNamespace.table()[entry.key]).id
            // As the kernel reports a mark that a rule has set: without the TCP state.
            try told.drain(silent: [id])
            let held = try #require(told.held[entry.key])
            #expect(held.isSufficient && held.protocolInfo.state == TCPState.established)
            #expect(held.protocolInfo.windowScales == 0x7A && held.extras.labelsLow == 5)
            #expect(told.table.insufficientCount == 0)
            entry.mark = 2
            try apply { #expect($0.update(entry, timeoutSeconds: 60, tag: 0)) }
            try told.drain(silent: [id])
            #expect(told.held.isEmpty, "its mark has left the filter")
        }
    }

    @Test func aStateThatIsNotSaidIsAskedFor() throws {
        try NetworkNamespace.run {
            let told = try Told(try filter("accept state ESTABLISHED"), inKernel: true)
            let open = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 10, 80))
            let begun = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 11, 80)) {
                $0.protocolInfo.state = TCPState.synSent
            }
            for var entry in [open, begun] {
                try apply { #expect($0.create(entry, timeoutSeconds: 60, tag: 0)) }
                entry.mark = 77
                entry.fields.remove(.protocolInfo)
                try apply { #expect($0.update(entry, timeoutSeconds: 60, tag: 0)) }
            }
            let table = try NetworkNamespace.table()
            try told.drain(silent: Set(table.values.map(\.id)))
            #expect(told.held.keys.map(\.tuple.sourcePort) == [10])
            #expect(told.held[open.key]?.mark == 77)
            var closing = open
            closing.protocolInfo.state = TCPState.timeWait
            try apply { #expect($0.update(closing, timeoutSeconds: 60, tag: 0)) }
            try told.drain()
            #expect(told.held.isEmpty)
        }
    }

    /// The same tuple again: an event of the first must not be answered with the second.
    @Test func aFollowerOfTheSameTupleIsNotMistakenForIt() throws {
        try NetworkNamespace.run {
            let told = try Told(try filter("accept state ESTABLISHED"), inKernel: false)
            let open = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 10, 80))
            try apply {
                #expect($0.create(open, timeoutSeconds: 60, tag: 0))
                #expect($0.update(open, timeoutSeconds: 60, tag: 0))
            }
            let id = try #require(try NetworkNamespace.table()[open.key]).id
            var second = open
            second.protocolInfo.state = TCPState.synSent
            try apply {
                #expect($0.delete(open.key, tag: 0))
                #expect($0.create(second, timeoutSeconds: 60, tag: 0))
            }
            try told.drain(silent: [id])
            #expect(told.held.isEmpty)
        }
    }

    @Test func unassuredConnectionsMakeNoTraffic() throws {
        try NetworkNamespace.run {
            let told = try Told(try filter("accept assured"), inKernel: true)
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 10, 53), [])
            try apply {
                #expect($0.create(entry, timeoutSeconds: 60, tag: 0))
                #expect($0.update(entry, timeoutSeconds: 60, tag: 0))
                #expect($0.delete(entry.key, tag: 0))
            }
            try told.drain()
            #expect(told.events == 3 && told.log == [])
        }
    }

    // MARK: The kernel's filter

    @Test func theKernelDropsWhatItCanDecide() throws {
        try NetworkNamespace.run {
            let told = try Told(
                try filter(
                    "ignore protocol udp", "accept source 10.0.0.0/31", "accept source fd00::/16"),
                inKernel: true)
            let kept = [
                SampleEntries.tuple(ProtocolNumber.tcp, 10, 80),
                SampleEntries.tuple(ProtocolNumber.tcp, 10, 80, family: .ipv6),
            ]
            var foreign = SampleEntries.tuple(ProtocolNumber.tcp, 10, 80)
            foreign.source.low += 1
            let dropped = [
                SampleEntries.tuple(ProtocolNumber.udp, 10, 80),
                SampleEntries.tuple(ProtocolNumber.udp, 10, 80, family: .ipv6), foreign,
            ]
            try apply { batch in
                for tuple in kept + dropped {
                    let entry = SampleEntries.entry(tuple)
                    #expect(batch.create(entry, timeoutSeconds: 60, tag: 0))
                    #expect(batch.delete(entry.key, tag: 0))
                }
            }
            try told.drain()
            #expect(told.events == 4 && told.log.count == 4)
        }
    }

    @Test func expectationsPassAndTheLargestProgramIsTaken() throws {
        var text = "ignore source fd00::1 destination fd00::2 protocol tcp"
        let rules = try (0..<ReplicationFilter.ruleLimit).map { number in
            defer { text = "accept source fd00::\(number) destination fd00::2 protocol udp" }
            return try ReplicationRule(text: text)
        }
        let program = try #require(SocketFilter(rules))
        #expect(program.program.count <= SocketFilter.sizeLimit)
        try NetworkNamespace.run {
            let socket = try EventSocket(receiveBufferBytes: 1 << 20, expectations: true)
            try socket.attach(program)
            let master = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 1_000, 21)) {
                $0.extras.helper.low = 0x70_7466
                $0.fields.insert(.helper)
            }
            try apply { #expect($0.create(master, timeoutSeconds: 60, tag: 0)) }
            try NetworkNamespace.shell(
                """
                conntrack -I expect --orig-src 10.0.0.1 --orig-dst 192.0.2.1 -p tcp \
                --sport 1000 --dport 21 --tuple-src 192.0.2.1 --tuple-dst 10.0.0.1 \
                --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --tuple-port-src 0 \
                --tuple-port-dst 4000 --mask-port-src 0 --mask-port-dst 65535 -t 100 2>/dev/null
                """)
            var kinds: [CtnetlinkKind] = []
            _ = try socket.receive { kind, _ in kinds.append(kind) }
            #expect(kinds == [.expectNew])
        }
    }

    @Test func rulesThatRefuseNothingMakeNoProgram() throws {
        #expect(SocketFilter([]) == nil)
        #expect(SocketFilter(try filter("ignore mark 1").rules) == nil)
        #expect(SocketFilter(try filter("ignore zone 1").rules) == nil)
        #expect(SocketFilter(try filter("accept zone 1").rules) != nil)
    }

    /// Random rules, random histories: what the slave was told is what the filter admits of the
    /// kernel's table, with the kernel's filter and without; both are told the same.
    @Test(arguments: [UInt64](1...9)) func whatIsToldIsWhatTheFilterAdmits(
        _ seed: UInt64
    ) throws {
        try NetworkNamespace.run {
            var random = SeededRandom(seed)
            let rules = SampleRules.random(using: &random, isPlain: seed % 3 == 0)
            let filter = ReplicationFilter(ownAddresses: [], syncNetworks: [], rules: rules)
            let tolds = [
                try Told(filter, inKernel: true), try Told(filter, inKernel: false),
            ]
            for _ in 0..<60 {
                try step(using: &random)
                for told in tolds { try told.drain() }
                guard random.chance(30) else { continue }
                let silent = try touchMarks(using: &random)
                for told in tolds { try told.drain(silent: silent) }
            }
            let expected = try NetworkNamespace.table().filter { filter.admits($0.value) }
            for told in tolds {
                #expect(told.table.insufficientCount == 0)
                #expect(Set(told.held.keys) == Set(expected.keys), "seed \(seed): \(rules)")
                for (key, held) in told.held {
                    guard let there = expected[key] else { continue }
                    let isEqual =
                        held.mark == there.mark
                        && held.protocolInfo.state == there.protocolInfo.state
                        && held.status.contains(.IPS_ASSURED) == there.status.contains(.IPS_ASSURED)
                    #expect(isEqual, "seed \(seed): \(held.summary) is not \(there.summary)")
                }
            }
            #expect(tolds[0].log == tolds[1].log, "seed \(seed)")
            #expect(tolds[0].events <= tolds[1].events)
        }
    }

    /// Makes, changes or removes a few entries at once.
    private func step(using random: inout SeededRandom) throws {
        let batch = try RequestBatch()
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let entry = SampleRules.entry(using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: _ = batch.delete(entry.key, tag: 0)
            case 1, 2: _ = batch.create(entry, timeoutSeconds: 600, tag: 0)
            default: _ = batch.update(entry, timeoutSeconds: 600, tag: 0)
            }
        }
        // What is there already or is not there is refused, and so are tuples of one host.
        try batch.send { _, _ in }
    }

    /// Changes marks only; their events are to be read as without a TCP state.
    private func touchMarks(using random: inout SeededRandom) throws -> Set<UInt32> {
        let table = try NetworkNamespace.table()
        let batch = try RequestBatch()
        var silent: Set<UInt32> = []
        for var entry in table.values.sorted(by: { $0.id < $1.id }) where random.chance(10) {
            entry.mark = UInt32.random(in: 0...2, using: &random)
            entry.fields = [.status, .timeout, .mark]
            _ = batch.update(entry, timeoutSeconds: 600, tag: 0)
            silent.insert(entry.id)
        }
        try batch.send { Issue.record("\($0) \($1)") }
        return silent
    }
}
