// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

extension Schedule {
    /// What schedules have besides, by chances of their own: what else a seed decides does not change
    /// with what is added here.
    ///
    /// A quarter of the seeds has some of the first three, another eighth has the late births, a third one
    /// rules. Of the seeds above 500,000 half have some of those from `flushes` to `shortExpectations` besides,
    /// and a third of these `interruptions`. The others are for planted faults and by `CTSYNC_HABITS` only.
    struct Habits: OptionSet {
        let rawValue: UInt32
        /// One fails of the first calls that are made because of the last promotion.
        static let lateFailures = Habits(rawValue: 1)
        /// In the quiet time only what the master sends by itself tells how far it is.
        static let unprobed = Habits(rawValue: 2)
        /// The table of a node that was just promoted is full, so its kernel drops connections.
        static let earlyDrops = Habits(rawValue: 4)
        /// Orders come after packets have arrived and before a daemon has read them.
        static let interruptions = Habits(rawValue: 8)
        /// Ten times as many packets are damaged.
        static let noise = Habits(rawValue: 16)
        /// The control thread sleeps as long as it may, which is a second at most.
        static let lateControl = Habits(rawValue: 32)
        /// A node is cut off for a while and lacks what happens: it is promoted meanwhile, and the links
        /// heal when it calls itself whole; or it is promoted a moment after they have healed.
        static let splits = Habits(rawValue: 64)
        /// The threads of events and of initsyncs get no processor for up to 60 ms, and events may be
        /// lost meanwhile; then the one works in the midst of the other's reading.
        static let stalls = Habits(rawValue: 128)
        /// After a power cut all nodes but one boot within a moment: walks take their time, and a node that
        /// has nothing joins in the midst of one that another has asked for.
        static let boots = Habits(rawValue: 256)
        /// Connections begin through a node that gave way, for two seconds.
        static let lateBirths = Habits(rawValue: 512)
        /// Not everything is replicated, and not the same by all nodes or at all times.
        static let rules = Habits(rawValue: 1_024)
        /// Addresses are lost, so kernels flush what is masqueraded to them; slaves keep it for a grace.
        static let flushes = Habits(rawValue: 2_048)
        /// The links swallow packets that the devices take.
        static let narrowLinks = Habits(rawValue: 4_096)
        /// The network refuses packets now and then: the send fails.
        static let refusedSends = Habits(rawValue: 8_192)
        /// A boot may find another disk, and what is to be recorded on it may not be.
        static let lostDisks = Habits(rawValue: 16_384)
        /// Six or seven nodes.
        static let crowds = Habits(rawValue: 32_768)
        /// An operator's commands reach a master too: it walks its table for all, or deletes it.
        static let mastersCommands = Habits(rawValue: 65_536)
        /// Nothing comes of most expectations: they expire.
        static let shortExpectations = Habits(rawValue: 131_072)
        /// A stranger on the link forges packets.
        static let forgeries = Habits(rawValue: 262_144)
        /// Those from `flushes` on, but for the last.
        private static let later: [Habits] = (11...17).map { Habits(rawValue: 1 << $0) }
        /// The seeds above this one may have those.
        static let lastOfOld: UInt64 = 500_000

        init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Those of a seed; `CTSYNC_HABITS`, the sum of their raw values, for each.
        init(seed: UInt64) {
            if let all = getenv("CTSYNC_HABITS").flatMap({ UInt32(String(cString: $0)) }) {
                self.init(rawValue: all)
                return
            }
            self = seed % 8 == 2 ? .lateBirths : seed % 8 == 5 ? .rules : []
            if seed > Self.lastOfOld {
                let chance = Chance(seed: seed &* 41 &+ 19)
                if chance.happens(500) {
                    insert(chance.one(of: Self.later))
                    for habit in Self.later where chance.happens(150) { insert(habit) }
                    if chance.happens(300) { insert(.interruptions) }
                }
            }
            guard seed % 8 == 3 || seed % 8 == 6 else { return }
            let chance = Chance(seed: seed &* 13 &+ 11)
            for bit in 0..<3 where chance.happens(500) { insert(Habits(rawValue: 1 << bit)) }
        }
    }

    /// The steps of a split, at a time of its own in the schedule.
    static func split(_ seed: UInt64, nodes: Int, from first: Int) -> [Step] {
        let chance = Chance(seed: seed &* 23 &+ 9)
        let node = chance.below(nodes)
        let cut = first + chance.below(200)
        guard chance.happens(500) else {
            let heal = cut + 100 + chance.below(400)
            return [
                Step(at: cut, action: .cut(node)), Step(at: heal, action: .heal),
                Step(at: heal + chance.below(20), action: .order(node, .master)),
            ]
        }
        let order = cut + 50 + chance.below(200)
        return [
            Step(at: cut, action: .cut(node)), Step(at: order, action: .order(node, .master)),
            Step(at: order + 1_100 + chance.below(200), action: .heal),
        ]
    }

    /// The steps of a power cut that all nodes but one have, twice.
    static func boots(_ seed: UInt64, nodes: Int, from first: Int) -> [Step] {
        let chance = Chance(seed: seed &* 29 &+ 15)
        let spared = chance.below(nodes)
        var steps = [
            Step(at: first, action: .heal), Step(at: first, action: .start(spared, nil)),
            Step(at: first, action: .order(spared, .master)),
        ]
        // By then it is whole, and may walk its table.
        for cut in [first + 1_300, first + 1_900] {
            let others = (0..<nodes).filter { $0 != spared }
            steps += others.map { Step(at: cut, action: .reboot($0)) }
            let starts = others.map {
                Step(at: cut + 1 + chance.below(100), action: .start($0, nil))
            }
            steps += starts.sorted { $0.at < $1.at }
        }
        return steps
    }

    /// The steps of the later habits, at times of their own.
    static func later(_ seed: UInt64, _ habits: Habits, nodes: Int, _ stepCount: Int) -> [Step] {
        let chance = Chance(seed: seed &* 43 &+ 21)
        var steps: [Step] = []
        func add(_ habit: Habits, _ count: Int, _ action: (Int) -> Action) {
            guard habits.contains(habit) else { return }
            for _ in 0..<count {
                let at = 1 + chance.below(stepCount - 1)
                steps.append(Step(at: at, action: action(chance.below(nodes))))
            }
        }
        add(.flushes, 1 + chance.below(6)) { .loseAddress($0) }
        add(.lostDisks, 1 + chance.below(4)) {
            chance.happens(500) ? .loseDisk($0) : .failRecords($0)
        }
        for step in steps where step.at + 60 < stepCount {
            if case .loseDisk(let node) = step.action {
                steps.append(Step(at: step.at + 1 + chance.below(50), action: .start(node, nil)))
            }
        }
        add(.mastersCommands, 1 + chance.below(4)) {
            chance.happens(700) ? .resync($0) : .flush($0)
        }
        return steps
    }

    /// The call that fails because of the last promotion: which of its kind, of those that it makes.
    static func lateFailure(_ seed: UInt64) -> (Int, String) {
        let chance = Chance(seed: seed &* 11 &+ 3)
        let call = 1 + chance.below(chance.one(of: [1, 1, 2, 6]))
        let kinds = [
            "thread of the timers", "socket of requests", "socket of a dump", "send of requests",
            "send of a dump request", "recv of a dump", "recvmmsg of events",
        ]
        return (call, chance.one(of: kinds))
    }
}
