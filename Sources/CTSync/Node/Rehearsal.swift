// SPDX-License-Identifier: GPL-2.0-or-later

/// What a promotion would have come to: done on a slave but for the claim and the opening.
///
/// Its status is the answer of `ct_sync rehearse`, schema 1, documented in ct_sync-status(5).
struct Rehearsal: Sendable {
    /// One step of a promotion.
    struct Step: Sendable {
        /// `receive`, `epoch`, `term`, `announce`, `l2drop`, `timers`.
        var name: String
        /// What it took.
        var nanoseconds: UInt64
        /// What was done, or why it cannot be done.
        var text: String
        /// Whether it can be done.
        var isWell: Bool
        /// Whether the first packet that is forwarded waits for it.
        var isWaitedFor: Bool
    }

    /// Something that the new master would not have had.
    struct Missing: Sendable, Equatable {
        /// A reason of the status, or what is lacking.
        var what: String
        /// Entries that it concerns; nil if that is not known.
        var count: Int?
        var text: String
        /// What to type next.
        var command: String
    }

    /// What a step says of itself.
    enum Outcome {
        case done(String)
        case failed(String)
    }

    let nodeID: UInt8
    private(set) var steps: [Step] = []
    var missing: [Missing] = []

    init(nodeID: UInt8) {
        self.nodeID = nodeID
    }

    /// Does a step and takes its time.
    mutating func take(_ name: String, isWaitedFor: Bool = true, _ body: () -> Outcome) {
        let began = Clock.now()
        let outcome = body()
        add(name, Clock.now() - began, outcome, isWaitedFor: isWaitedFor)
    }

    /// Adds a step that was done elsewhere.
    mutating func add(
        _ name: String, _ nanoseconds: UInt64, _ outcome: Outcome, isWaitedFor: Bool
    ) {
        let (text, isWell) =
            switch outcome {
            case .done(let text): (text, true)
            case .failed(let text): (text, false)
            }
        steps.append(
            Step(
                name: name, nanoseconds: nanoseconds, text: text, isWell: isWell,
                isWaitedFor: isWaitedFor))
    }

    /// What the first packet that is forwarded would wait for, but for the opening of l2drop.
    var promotionNanoseconds: UInt64 {
        steps.filter(\.isWaitedFor).reduce(0) { $0 + $1.nanoseconds }
    }

    /// Whether it would be a whole takeover.
    var isReady: Bool { steps.allSatisfy(\.isWell) && missing.isEmpty }

    /// The result in one sentence.
    var sentence: String {
        let time = Words.time(promotionNanoseconds)
        let failed = steps.filter { !$0.isWell }.map(\.name)
        if !failed.isEmpty { return "a promotion would fail: \(failed.joined(separator: ", "))" }
        let lack = missing.isEmpty ? "lack nothing" : "lack something"
        return "a promotion would take \(time) and \(lack)"
    }

    /// All of it.
    var status: StatusReport {
        var status = StatusReport()
        status.add("schema", 1)
        status.add("node_id", nodeID)
        status.add("ready", isReady)
        status.add("text", sentence)
        status.add("promotion_seconds", age: promotionNanoseconds)
        status.add(
            list: "steps",
            steps.map { step in
                var line = StatusReport()
                line.add("name", step.name)
                line.add("well", step.isWell)
                line.add("waited_for", step.isWaitedFor)
                line.add("seconds", age: step.nanoseconds)
                line.add("text", step.text)
                return line
            })
        status.add(
            list: "missing",
            missing.map { missing in
                var line = StatusReport()
                line.add("what", missing.what)
                line.add("count", count: missing.count)
                line.add("text", missing.text)
                line.add("try", missing.command)
                return line
            })
        return status
    }
}

extension Rehearsal {
    /// What is missing by a slave's report.
    static func missing(_ report: NodeReport) -> [Missing] {
        var missing: [Missing] = []
        if let problem = report.problem, problem.reason != .lacking {
            let short = report.entriesOfMaster.map { max(0, $0 - report.entriesHeld) } ?? 0
            missing.append(
                Missing(
                    what: problem.reason.rawValue, count: short > 0 ? short : nil,
                    text: problem.sentence,
                    command: report.typed(problem.tries.first?.command ?? "ct_sync status")))
        }
        missing += report.lacks.filter { $0.count > 0 }.map { lack in
            Missing(
                what: lack.what, count: Int(clamping: lack.count), text: lack.sentence,
                command: lack.hint.command)
        }
        return missing
    }
}
