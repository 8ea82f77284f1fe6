// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Whether what a walk did not name is gone.
@Suite struct WalkProofTests {
    private static func make() throws -> (ListeningMaster, InitsyncWalk.Term) {
        let master = try ListeningMaster()
        let kernel = master.kernel
        let term = master.walk.open(
            try kernel.makeWalk(), try kernel.makeLookup(), try kernel.openAddressLosses(),
            now: master.now)
        return (master, term)
    }

    /// Steps it until nothing is to be done.
    private static func walk(_ master: ListeningMaster, _ term: InitsyncWalk.Term) {
        repeat {
            master.now += Duration.millisecond
            _ = master.walk.step(term, now: master.now)
        } while master.exchange.initsyncs.isRunning
    }

    /// The kernel has no room for what the node holds, and has it later: what it does not have is not gone.
    @Test func whatThereIsNoRoomForIsNotGone() throws {
        let (master, term) = try Self.make()
        master.exchange.timersRun(lacksRoom: true)
        master.exchange.requireInitsync()
        Self.walk(master, term)
        #expect(master.exchange.initsyncs.begun == 1 && master.walk.unprovedCount == 1)
        master.exchange.timersRun(lacksRoom: false)
        Self.walk(master, term)
        #expect(master.exchange.initsyncs.begun == 2 && master.walk.unprovedCount == 1)
    }

    /// What is made in the midst of a walk may not be named by it.
    @Test func aWalkThatBeganBeforeThereWasRoomProvesNothing() throws {
        let (master, term) = try Self.make()
        master.exchange.timersRun(lacksRoom: true)
        master.exchange.requireInitsync()
        for _ in 0..<2 { _ = master.walk.step(term, now: master.now) }
        master.exchange.timersRun(lacksRoom: false)
        Self.walk(master, term)
        #expect(master.exchange.initsyncs.begun == 2 && master.walk.unprovedCount == 1)
    }
}
