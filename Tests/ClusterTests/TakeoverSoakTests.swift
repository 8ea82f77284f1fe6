// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

enum TakeoverSoak {
    /// How many takeovers; nil if the soak is not asked for.
    static let count = ProcessInfo.processInfo.environment["CTSYNC_TAKEOVERS"].flatMap(Int.init)
}

extension ClusterTests {
    /// Many takeovers to and fro under load: `make takeover-soak`.
    @Suite struct TakeoverSoakTests {
        private static let transferCount = 20

        /// Short connections at 300 a second and 20 transfers, masqueraded, between nodes that l2drop
        /// keeps apart. Two of four takeovers are a promotion alone, as a manager makes that has heard
        /// nothing of the master; the others begin with its demotion.
        @Test(.enabled(if: TakeoverSoak.count != nil, "make takeover-soak"))
        func noEstablishedConnectionIsLost() throws {
            let pair = try TakeoverPair(.dark, byKeepalived: false)
            let cluster = pair.cluster
            defer { pair.close() }
            do {
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let transfers = try (0..<Self.transferCount).map { number in
                    try BulkTransfer(
                        from: cluster.client, to: cluster.server,
                        at: Endpoint(service.address, service.port + 100 + UInt16(number)),
                        bytesPerSecond: 300_000, isDownload: number % 2 == 1)
                }
                let short = try ShortConnections(
                    from: cluster.client, to: service, perSecond: 300, within: 30)
                let pauses = try takeovers(pair, transfers)
                let count = short.finish()
                for transfer in transfers { try transfer.finish(within: 30) }
                print(report(pauses, count))
                #expect(count.lost == 0, "\(count.reasons)\n\(cluster.logs)")
                #expect(count.opened > 0)
            } catch {
                Issue.record("\(error)\n\(cluster.logs)")
            }
        }

        /// The longest pause of each transfer around each takeover.
        private func takeovers(
            _ pair: TakeoverPair, _ transfers: [BulkTransfer]
        ) throws -> [Double] {
            var pauses: [Double] = []
            for number in 0..<(TakeoverSoak.count ?? 0) {
                try pair.cluster.waitInSync(within: 60)
                for transfer in transfers { transfer.gaps.reset() }
                let before = transfers.map(\.count)
                let new = 1 - number % 2
                if number / 2 % 2 == 1 { try pair.demote(1 - new) }
                try pair.promote(new)
                for (transfer, count) in zip(transfers, before) {
                    try eventually("a transfer after takeover \(number + 1)", within: 30) {
                        transfer.count > count + 150_000
                    }
                }
                pauses += transfers.map(\.gaps.longest)
                if (number + 1) % 20 == 0 {
                    print("takeover \(number + 1)")
                    // The dead live on at neither.
                    try pair.cluster.firewalls[0].waitForNothingAlone(
                        beside: pair.cluster.firewalls[1])
                }
            }
            return pauses.sorted()
        }

        private func report(_ pauses: [Double], _ count: ShortConnections.Count) -> String {
            let share = { (part: Double) in pauses[Int(Double(pauses.count - 1) * part)] }
            let seconds = { (value: Double) in String(format: "%.2f s", value) }
            let bounds = [0.05, 0.1, 0.25, 0.5, 1, 2, 4]
            var lines = [
                "\(TakeoverSoak.count ?? 0) takeovers, \(Self.transferCount) transfers: none lost",
                "\(count.opened) short connections, \(count.lost) lost, "
                    + "\(count.unanswered) not opened within 2 s",
                "pauses of the transfers: half below \(seconds(share(0.5))), nine of ten below "
                    + "\(seconds(share(0.9))), 99 % below \(seconds(share(0.99))), the longest "
                    + seconds(share(1)),
            ]
            var seen = 0
            for bound in bounds {
                let below = pauses.count { $0 < bound }
                lines.append("  below \(seconds(bound)): \(below - seen)")
                seen = below
            }
            lines.append("  longer: \(pauses.count - seen)")
            return lines.map { "soak: \($0)" }.joined(separator: "\n")
        }
    }
}
