// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// What many slaves lose in common, at the switch, while connections come and go:
/// `bench-comparison losses [--slaves 8] [--percent 5] [--rounds 3] [--results FILE]`.
struct CommonLosses {
    private static let perSecond = 5_000
    private static let seconds = 5.0

    private let words: MeasureWords
    private let slaves: Int
    private let percent: Int

    init(_ words: [String]) throws {
        self.words = try MeasureWords(words)
        slaves = self.words.numbers("--slaves", [8]).first ?? 8
        percent = self.words.numbers("--percent", [5]).first ?? 5
    }

    func run() throws {
        var results = Results<CommonLoss>(rounds: words.rounds)
        for _ in 0..<words.rounds { try results.add(measure()) }
        try results.end(words.file)
    }

    private func measure() throws -> CommonLoss {
        let cluster = try Cluster(firewalls: slaves + 1)
        defer { cluster.close() }
        try cluster.startDaemons()
        let master = cluster.firewalls[0]
        try cluster.loseSent(by: master, percent: percent)
        _ = try master.host.inside {
            try Load.run(first: 0, perSecond: Self.perSecond, seconds: Self.seconds)
        }
        let lost = try cluster.endLosing()
        try cluster.waitInSync(within: 60)
        let counts = try cluster.firewalls.dropFirst().map { try $0.status() }
        func sum(_ key: String) -> Int { counts.reduce(0) { $0 + ($1?.number(key) ?? 0) } }
        return CommonLoss(
            slaves: slaves, lost: lost, again: try master.status()?.number("retransmitted") ?? 0,
            recovered: sum("packets_recovered"), forGood: sum("packets_lost"))
    }
}

/// What was found.
struct CommonLoss: Finding {
    static let measure = "losses"

    let slaves: Int
    /// The master's packets that no slave had, repairs included.
    let lost: Int
    /// Packets that the master sent again.
    let again: Int
    /// Of all slaves: packets that came after they were asked for, and that never came.
    let recovered: Int
    let forGood: Int

    static func table(_ findings: [CommonLoss]) -> String {
        let ratio = Spread(findings.map { Double($0.again) / Double(max(1, $0.lost)) })
        func median(_ value: (CommonLoss) -> Int) -> String {
            String(format: "%.0f", Spread(findings.map { Double(value($0)) }).median)
        }
        return """
            | slaves | packets lost in common | sent again | a lost packet was sent again | lost for good |
            |---|---|---|---|---|
            | \(median(\.slaves)) | \(median(\.lost)) | \(median(\.again)) | \(ratio.text) times | \
            \(findings.reduce(0) { $0 + $1.forGood }) |
            """
    }
}
