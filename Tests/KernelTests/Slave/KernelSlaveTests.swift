// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Whether a slave that is in sync has in its kernel what its master has, whatever happens to that kernel.
@Suite(.serialized) struct KernelSlaveTests {
    /// TCP and UDP.
    private static func entries(_ count: Int) -> [Entry] {
        (0..<count).map { number in
            let kind = number % 5 == 0 ? ProtocolNumber.udp : ProtocolNumber.tcp
            return SampleEntries.entry(SampleEntries.tuple(kind, 1_000 + UInt16(number), 80))
        }
    }

    private static func expectTable(_ entries: [Entry]) throws {
        #expect(Set(try NetworkNamespace.table().keys) == Set(entries.map(\.key)))
    }

    /// From its next look on it is not in sync, until the kernel has every entry again: of so many as are read
    /// one by one, and of more.
    @Test(arguments: [25, 1_500]) func itIsInSyncAgainWithAllThatWasFlushed(_ count: Int) throws {
        let entries = Self.entries(count)
        try NetworkNamespace.run(isTracking: true) {
            let slave = try KernelSlave(entries: entries)
            try #require(slave.reason == nil, "\(slave.reason as Any)")
            try Self.expectTable(entries)
            try NetworkNamespace.shell("conntrack -F 2>/dev/null")
            try Self.expectTable([])
            slave.pass(KernelWatch.interval) { slave.reason != nil }
            #expect(slave.reason == .kernelChanged)
            slave.pass(2 * Duration.second) { slave.reason == nil }
            #expect(slave.reason == nil)
            try Self.expectTable(entries)
        }
    }

    /// It is promoted before it would have looked.
    @Test func aPromotionAtOnceFindsAllThatWasFlushed() throws {
        let entries = Self.entries(25)
        try NetworkNamespace.run(isTracking: true) {
            let slave = try KernelSlave(entries: entries)
            try NetworkNamespace.shell("conntrack -F 2>/dev/null")
            slave.engine.finish(now: slave.now)
            try Self.expectTable(entries)
        }
    }

    /// A socket that takes nothing while it is promoted: what it had it has, and what had arrived is made when the
    /// timers have started.
    @Test func batchesThatFailInAPromotionThrowNothingAway() throws {
        let (before, entries) = (20, Self.entries(25))
        try NetworkNamespace.run(isTracking: true) {
            let isStuck = Flag()
            var kernel = MeddledKernel()
            kernel.beforeRequests = { () throws(SystemError) in
                guard isStuck.isSet else { return }
                throw SystemError("send", errno: ENOBUFS)
            }
            let slave = try KernelSlave(kernel, entries: Array(entries[..<before]))
            for entry in entries[before...] {
                slave.hear(PacketBytes.update(entry, bits: MessageKind.new))
            }
            isStuck.set(true)
            slave.engine.finish(now: slave.now)
            isStuck.set(false)
            #expect(slave.engine.injectionFailures > 0)
            try Self.expectTable(Array(entries[..<before]))
            let aftermath = try Aftermath(
                kernel, TimerStart(), WindowMender(), slave.engine.table, includesUnread: false,
                promotedAt: slave.now)
            while !aftermath.haveTimersStarted { _ = aftermath.step(now: slave.now) }
            _ = aftermath.step(now: slave.now)
            try Self.expectTable(entries)
            #expect(try NetworkNamespace.table().values.allSatisfy { $0.timeoutSeconds <= 600 })
            #expect(!aftermath.lacksRoom)
        }
    }

    /// An expectation whose parent has no helper on this node is refused: the slave is not in sync until it is
    /// gone.
    @Test func whatTheKernelRefusesToExpectIsNotInSync() throws {
        var parent = SampleExpectations.control("ftp", 4_000)
        let expectation = SampleExpectations.expectation(of: parent, port: 3_000)
        parent.fields.remove(.helper)
        parent.extras.helper = HelperName()
        try NetworkNamespace.run(isTracking: true) {
            let slave = try KernelSlave(entries: [parent])
            try #require(slave.reason == nil, "\(slave.reason as Any)")
            slave.say(PacketBytes.update(expectation))
            var reasons: [SlaveProtocol.OutOfSync?] = []
            slave.pass(20 * Duration.second) {
                if slave.reason != reasons.last { reasons.append(slave.reason) }
                return slave.reason == .expectationsRefused
            }
            #expect(slave.reason == .expectationsRefused && !reasons.contains(nil), "\(reasons)")
            slave.say(PacketBytes.delete(expectation))
            slave.pass(2 * Duration.second) { slave.reason == nil }
            #expect(slave.reason == nil)
        }
    }

    /// One more than there is room for, as each is the doing of a connection: the slave is not in sync until
    /// a walk has told all there are, and they have room.
    @Test func moreExpectationsThanThereIsRoomForAreNotInSync() throws {
        let perParent = 3
        let parents = (0...ExpectationBook.capacity / perParent).map {
            SampleExpectations.control("amanda", 1_000 + UInt16($0))
        }
        let expectations = parents.flatMap { parent in
            (0..<perParent).map {
                SampleExpectations.expectation(
                    of: parent, port: parent.key.tuple.sourcePort * 3 + UInt16($0))
            }
        }
        let room = ExpectationBook.capacity
        try NetworkNamespace.run(isTracking: true) {
            let slave = try KernelSlave(entries: parents)
            try #require(slave.reason == nil, "\(slave.reason as Any)")
            for expectation in expectations[..<room] { slave.say(PacketBytes.update(expectation)) }
            slave.pass(2 * Duration.second) { slave.reason == nil }
            #expect(slave.reason == nil)
            #expect(try NetworkNamespace.expectations().count == room)
            for expectation in expectations[room...] { slave.say(PacketBytes.update(expectation)) }
            #expect(slave.reason == .expectationsFull)
            slave.pass(2 * Duration.second)
            #expect(slave.reason == .expectationsFull)
            // What is said when there is room again.
            for expectation in expectations[1...] { slave.say(PacketBytes.delete(expectation)) }
            slave.tell(parents, [expectations[0]])
            slave.pass(2 * Duration.second) { slave.reason == nil }
            #expect(slave.reason == nil)
            #expect(try NetworkNamespace.expectations().count == 1)
        }
    }

    /// A packet with a message that cannot be read is none: it is missing until it comes as it is.
    @Test func whatCannotBeReadIsNotInSync() throws {
        let entries = Self.entries(2)
        let message = PacketBytes.update(entries[1], bits: MessageKind.new)
        // One that is shorter than its own head.
        var unreadable = message
        (unreadable[0], unreadable[1]) = (0, 3)
        try NetworkNamespace.run(isTracking: true) {
            let slave = try KernelSlave(entries: [entries[0]])
            try #require(slave.reason == nil, "\(slave.reason as Any)")
            slave.say(unreadable)
            slave.pass(2 * Duration.second) { slave.reason != nil }
            #expect(slave.reason == .gap)
            try Self.expectTable([entries[0]])
            slave.sayLast(message)
            slave.pass(2 * Duration.second) { slave.reason == nil }
            #expect(slave.reason == nil)
            try Self.expectTable(entries)
        }
    }
}
