// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// The rules of what is replicated, as the configuration files of a schedule's nodes have them: a daemon
/// reads them when it starts.
enum SimulatedRules {
    private static let texts: [[String]] = [
        [],
        ["accept source 10.0.0.0/8"],
        ["ignore zone 5"],
        ["accept protocol tcp"],
        ["accept source 10.0.0.0/30"],
        ["accept state ESTABLISHED,FIN_WAIT,CLOSE_WAIT"],
        ["accept assured"],
        ["accept mark 0x1/0x1"],
        ["ignore zone 5", "ignore mark 0x2/0x2"],
    ]
    /// Those of which another one replicates less.
    static let narrower: [(Int, Int)] =
        [(1, 4), (2, 8)] + texts.indices.dropFirst().map { (0, $0) }
    static let all = texts.indices

    /// The rules of this number.
    static subscript(number: Int) -> [ReplicationRule] {
        texts[number].map { text in
            do throws(RuleMistake) {
                return try ReplicationRule(text: text)
            } catch {
                preconditionFailure(error.sentence)
            }
        }
    }

    /// Whether a connection that another one expected is replicated if that one is.
    static func keepFamilies(_ number: Int) -> Bool { number <= 2 }

    /// Their text.
    static func text(_ number: Int) -> String {
        number == 0 ? "none" : texts[number].joined(separator: ", ")
    }
}

extension Schedule {
    /// The rules of each node at the begin, and the steps that change those of some, which end and start
    /// again for it: the same on all nodes; others on some; narrower from some time on, or wider.
    static func rules(_ seed: UInt64, nodes: Int, _ stepCount: Int) -> ([Int], [Step]) {
        let chance = Chance(seed: seed &* 37 &+ 17)
        let (wide, narrow) = chance.one(of: SimulatedRules.narrower)
        let same = chance.one(of: Array(SimulatedRules.all.dropFirst()))
        var generator = chance
        let order = (0..<nodes).shuffled(using: &generator)
        let count = 1 + chance.below(nodes)
        let (first, second) = chance.happens(700) ? (wide, narrow) : (narrow, wide)
        var rules = [Int](repeating: first, count: nodes)
        switch chance.below(4) {
        case 0:
            return ([Int](repeating: same, count: nodes), [])
        case 1:
            for node in order.prefix(count) { rules[node] = chance.happens(500) ? second : same }
            return (rules, [])
        default:
            var at = 100 + chance.below(stepCount / 2)
            var steps: [Step] = []
            for node in order.prefix(count) where at + 60 < stepCount {
                steps.append(Step(at: at, action: .setRules(node, second)))
                steps.append(Step(at: at, action: chance.happens(300) ? .kill(node) : .stop(node)))
                at += 1 + chance.below(60)
                steps.append(Step(at: at, action: .start(node, nil)))
                at += chance.one(of: [1, 50, 300])
            }
            return (rules, steps)
        }
    }
}

extension SimulatedNode {
    /// Whether its daemon replicates an entry as it is, by its rules.
    func admits(_ entry: Entry) -> Bool { filter.current.admits(entry) }

    /// Whether its rules leave out what it has of these ends, as it is.
    func leavesOut(_ key: Key) -> Bool { kernel.table.entry(key).map { !admits($0) } ?? false }

    /// Whether its kernel has an entry that its rules accept.
    func replicates(_ key: Key) -> Bool { kernel.table.entry(key).map { admits($0) } ?? false }

    /// Whether its rules, or those of another node, leave out what that one has of these ends; what they
    /// say of it may change.
    func leavesOut(_ key: Key, of other: SimulatedNode) -> Bool {
        guard !filter.current.hasChangeableRules, !other.filter.current.hasChangeableRules else {
            return true
        }
        return other.leavesOut(key) || other.kernel.table.entry(key).map { !admits($0) } ?? false
    }

    /// Whether the daemons of both have read the same rules.
    func agrees(with other: SimulatedNode) -> Bool {
        filter.current.rules == other.filter.current.rules
    }

    /// Whether it is master, and the slave follows it.
    func isMaster(of slave: SlaveProtocol) -> Bool {
        role == .master && daemon?.engine.claim == slave.master
    }

    /// Whether its daemon holds what it has of these ends as a replica.
    func knows(_ key: Key) -> Bool { daemon?.slave.table.book.alivePlace(key) != nil }

    /// Whether an expectation that its kernel has may be a replica: its daemon knows those only whose parent
    /// the rules did not leave out when it read it.
    func holds(_ expectation: Expectation) -> Bool {
        guard filter.current.hasChangeableRules else { return true }
        return daemon?.slave.table.expectations.isHere(expectation) ?? false
    }
}
