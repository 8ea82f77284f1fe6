// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// What a cluster goes through: decided by its seed before it runs, so that a failing one can be
/// shortened, step by step, to the few that matter.
struct Schedule {
    /// Something that somebody does.
    enum Action: CustomStringConvertible {
        case order(Int, Role)
        case kill(Int)
        case stop(Int)
        case start(Int, Role?)
        case reboot(Int)
        case cut(Int)
        case cutWay(Int, Int)
        case heal
        case setClock(Int, Int64)
        case stopClock(Int)
        case flushKernel(Int)
        case deleteEntry(Int)
        case changeEntry(Int)
        case setEvents(Int, UInt64)
        case resize(Int)
        case loseEvents(Int)
        case flush(Int)
        case resync(Int)
        case limit(Int, Int)
        case loseHelpers(Int, Bool)
        case setRules(Int, Int)
        case loseAddress(Int)
        case loseDisk(Int)
        case failRecords(Int)

        var description: String {
            switch self {
            case .order(let node, let role): "promote/demote node \(node) to \(role)"
            case .kill(let node): "kill -9 of node \(node)"
            case .stop(let node): "stop of node \(node)"
            case .start(let node, let role):
                "start of node \(node), state \(role.map { "\($0)" } ?? "unset")"
            case .reboot(let node): "reboot of node \(node)"
            case .cut(let node): "link of node \(node) cut"
            case .cutWay(let source, let target): "way \(source) to \(target) cut"
            case .heal: "links healed"
            case .setClock(let node, let offset): "clock of node \(node) off by \(offset) us"
            case .stopClock(let node): "clock of node \(node) stands still"
            case .flushKernel(let node): "conntrack -F on node \(node)"
            case .deleteEntry(let node): "an entry of node \(node) deleted by hand"
            case .changeEntry(let node): "an entry of node \(node) changed by hand"
            case .setEvents(let node, let value): "nf_conntrack_events=\(value) on node \(node)"
            case .resize(let node): "nf_conntrack_buckets halved on node \(node)"
            case .loseEvents(let node): "events lost on node \(node)"
            case .flush(let node): "ct_sync flush on node \(node)"
            case .resync(let node): "ct_sync resync on node \(node)"
            case .limit(let node, let capacity): "table of node \(node) limited to \(capacity)"
            case .loseHelpers(let node, let value): "helpers of node \(node): \(!value)"
            case .setRules(let node, let number):
                "rules of node \(node) from its next start on: \(SimulatedRules.text(number))"
            case .loseAddress(let node): "the outside address of node \(node) lost"
            case .loseDisk(let node): "reboot of node \(node), with another disk"
            case .failRecords(let node): "the disk of node \(node) takes nothing"
            }
        }
    }

    /// An action and the step before which it happens.
    struct Step {
        var at: Int
        var action: Action
    }

    let seed: UInt64
    var nodeCount: Int
    /// Sync devices of each node; `CTSYNC_LINKS`.
    var linkCount = getenv("CTSYNC_LINKS") == nil ? 1 : 2
    var stepCount: Int
    var steps: [Step]
    /// Whether what happens is printed.
    var isTraced = false
    /// The call of a node's daemon that fails, counted from 1: of all, or of one kind.
    var failing: (node: Int, call: Int, kind: String?)?

    /// What it has besides.
    var habits: Habits
    /// The number of the rules that each node has at the begin.
    var rules: [Int]

    /// Whether the call that fails may be one of the quiet time at the end.
    var failsToTheEnd: Bool { failing.map { $0.kind == nil } ?? false }

    /// What kinds of things happen in a schedule.
    struct Flavour: OptionSet {
        let rawValue: UInt8
        /// Orders, links, losses.
        static let roles = Flavour(rawValue: 1)
        /// Kills, stops, starts, boots.
        static let lives = Flavour(rawValue: 2)
        /// Wrong clocks.
        static let clocks = Flavour(rawValue: 4)
        /// Hands at the kernel's table and settings.
        static let hands = Flavour(rawValue: 8)
        /// Operators' commands.
        static let commands = Flavour(rawValue: 16)
    }

    /// Whether any schedule may have hands at the kernel: `CTSYNC_HANDS`, 0 for none. Without it each
    /// eighth has them.
    private static let hands = getenv("CTSYNC_HANDS").map { String(cString: $0) != "0" }

    init(seed: UInt64) {
        let chance = Chance(seed: seed)
        self.seed = seed
        habits = Habits(seed: seed)
        nodeCount = chance.one(of: [2, 2, 2, 3, 3, 3, 4, 5, 8])
        if habits.contains(.crowds) { nodeCount = 6 + Int(seed % 2) }
        stepCount = 500 + chance.below(1_500)
        steps = []
        var flavour: Flavour = .roles
        for other in [Flavour.lives, .clocks, .hands, .commands] where chance.happens(400) {
            flavour.insert(other)
        }
        if Self.hands == nil, seed % 8 == 7 {
            flavour.insert(.hands)
        } else if Self.hands != true {
            flavour.remove(.hands)
        }
        let pace = chance.one(of: [3, 8, 20])
        for at in 1..<stepCount where chance.below(1_000) < pace {
            if let action = Self.action(flavour, nodeCount, chance) {
                steps.append(Step(at: at, action: action))
            }
        }
        failing = Self.failure(seed, nodeCount)
        steps += Self.later(seed, habits, nodes: nodeCount, stepCount)
        rules = [Int](repeating: 0, count: nodeCount)
        if habits.contains(.rules) {
            let (first, changes) = Self.rules(seed, nodes: nodeCount, stepCount)
            rules = first
            steps += changes
        }
        steps = steps.enumerated().sorted {
            ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
        }.map(\.element)
        if habits.contains(.splits) {
            steps += Self.split(seed, nodes: nodeCount, from: stepCount)
            stepCount += 2_000
        }
        if habits.contains(.boots) {
            steps += Self.boots(seed, nodes: nodeCount, from: stepCount)
            stepCount += 2_500
        }
    }

    /// In a schedule of four a call fails, mostly an early one of its kind.
    private static func failure(_ seed: UInt64, _ count: Int) -> (Int, Int, String?)? {
        let chance = Chance(seed: seed &* 7 &+ 5)
        guard chance.happens(250) else { return nil }
        let call = 1 + chance.below(chance.one(of: [2, 6, 30]))
        let node = chance.below(count)
        let kinds = SimulatedCalls.kinds
        return (
            node, call,
            chance.one(of: seed > Habits.lastOfOld ? kinds + SimulatedCalls.later : kinds)
        )
    }

    private static func action(
        _ flavour: Flavour, _ count: Int, _ chance: Chance
    ) -> Action? {
        let node = chance.below(count)
        let other = (node + 1 + chance.below(count - 1)) % count
        switch chance.below(24) {
        case 0...4: return .order(node, .master)
        case 5: return .order(node, .slave)
        case 6: return .cut(node)
        case 7: return .cutWay(node, other)
        case 8, 9: return .heal
        case 10: return .loseEvents(node)
        case 11 where flavour.contains(.lives): return .kill(node)
        case 12 where flavour.contains(.lives): return .reboot(node)
        case 13 where flavour.contains(.lives): return .stop(node)
        case 14, 15: return .start(node, chance.happens(200) ? .master : nil)
        case 16 where flavour.contains(.clocks):
            let years = Int64(chance.one(of: [-20, -1, 1, 20])) * 365 * 86_400 * 1_000_000
            return .setClock(node, chance.happens(500) ? years : Int64(chance.below(4_000_000)))
        case 17 where flavour.contains(.clocks): return .stopClock(node)
        case 18 where flavour.contains(.hands): return hand(node, chance)
        case 19 where flavour.contains(.hands): return hand(node, chance)
        case 20 where flavour.contains(.commands): return .flush(node)
        case 21 where flavour.contains(.commands): return .resync(node)
        default: return nil
        }
    }

    private static func hand(_ node: Int, _ chance: Chance) -> Action {
        switch chance.below(7) {
        case 0: .flushKernel(node)
        case 1: .deleteEntry(node)
        case 2: .changeEntry(node)
        case 3: .setEvents(node, UInt64(chance.below(3)))
        case 4: .resize(node)
        case 5: .limit(node, chance.one(of: [5, 20, 1_000]))
        default: .loseHelpers(node, chance.happens(300))
        }
    }

    /// Two nodes that change their roles, and one that is stopped and started; a call of one fails.
    init(failing call: Int, of node: Int) {
        self.init(seed: 4)
        nodeCount = 2
        stepCount = 700
        steps = [
            Step(at: 150, action: .order(1, .master)), Step(at: 330, action: .order(0, .master)),
            Step(at: 450, action: .stop(1)), Step(at: 480, action: .start(1, nil)),
        ]
        failing = (node, call, nil)
        habits = []
        rules = [0, 0]
    }

    /// The same without some of its steps.
    func keeping(_ indices: [Int]) -> Schedule {
        var copy = self
        copy.steps = indices.map { steps[$0] }
        return copy
    }
}
