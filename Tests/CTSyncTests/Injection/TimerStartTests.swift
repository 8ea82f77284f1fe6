// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// The replicas' timers on a kernel that refuses some of the requests.
@Suite struct TimerStartTests {
    private static func kernel(refusing permille: Int) -> SimulatedKernel {
        let kernel = SimulatedKernel(Chance(seed: 1))
        for port: UInt16 in 1...20 {
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53))
            _ = kernel.table.insert(entry, seconds: ReplicaTable.holdSeconds, .daemon)
        }
        kernel.faults = permille
        return kernel
    }

    private static func isHeld(_ kernel: SimulatedKernel) -> Bool {
        kernel.table.slots.keys.contains { StandbyTime.mayBe(kernel.table.secondsLeft($0)) }
    }

    /// Nobody would give it its time later.
    @Test func whatTheKernelRefusesIsAskedForAgain() throws {
        let kernel = Self.kernel(refusing: 300)
        let timers = TimerStart()
        timers.finish(kernel, try ReplicaTable(capacity: 64, seed: 1), includesUnread: true) { 0 }
        #expect(!Self.isHeld(kernel))
        #expect(timers.failureCount > 0)
    }

    /// What has run out is nowhere else told of, and its port is drawn again: the slaves hear of it.
    @Test func whatHasRunOutEndsAndIsTold() throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let table = try ReplicaTable(capacity: 64, seed: 1)
        let entries = [TCPState.timeWait, TCPState.closeWait].map { state in
            SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, UInt16(state), 80)) {
                $0.protocolInfo.state = state
                $0.timeoutSeconds = 60
                $0.fields.formUnion([.protocolInfo, .timeout])
            }
        }
        for entry in entries { _ = table.update(entry, isNew: true, isCopy: false, now: 1) }
        try Injector(try kernel.makeRequests(), try kernel.makeLookup()).apply(table, now: 1)
        let later = 100 * Duration.second
        kernel.advance(to: later)
        let source = try kernel.openEvents()
        TimerStart().finish(kernel, table, includesUnread: false) { later }
        #expect(kernel.table.slots.keys.map(\.tuple.sourcePort) == [UInt16(TCPState.closeWait)])
        #expect(kernel.table.secondsLeft(entries[1].key) == 60)
        var told: [Key] = []
        _ = try source.receive { kind, entry in
            if kind == .destroy, !source.isOwnDoing { told.append(entry.key) }
        } expected: { _, _ in
        }
        #expect(told == [entries[0].key])
    }

    /// Another that has its key by then is not deleted.
    @Test func anotherOfTheKeyStays() throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let entry = SampleEntries.plain[0]
        #expect(kernel.table.insert(entry, seconds: 60, .traffic) == 0)
        let lookup = try kernel.makeLookup()
        let first = try #require(try lookup.entry(entry.key))
        _ = kernel.table.remove(entry.key, .traffic)
        #expect(kernel.table.insert(entry, seconds: 60, .traffic) == 0)
        let second = try #require(try lookup.entry(entry.key))
        let requests = try kernel.makeRequests(isTold: true)
        for (one, errno) in [(first, ENOENT), (second, 0)] {
            #expect(requests.delete(exactly: one, tag: 0))
            var refused: [CInt] = []
            try requests.send { refused.append($1) }
            #expect(refused == (errno == 0 ? [] : [errno]))
        }
        #expect(kernel.table.entry(entry.key) == nil)
    }

    /// A kernel that refuses all is not asked for ever.
    @Test func aWalkThatIsAlwaysRefusedEnds() throws {
        let kernel = Self.kernel(refusing: 1_000)
        let timers = TimerStart()
        timers.finish(kernel, try ReplicaTable(capacity: 64, seed: 1), includesUnread: true) { 0 }
        #expect(Self.isHeld(kernel))
        #expect(timers.failureCount == 4)
    }
}
