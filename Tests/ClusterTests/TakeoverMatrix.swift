// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

/// How a takeover comes about.
enum TakeoverWay: String, CaseIterable {
    case crash
    case keepalived = "keepalived stops"
    case planned = "demote, promote"
    case justStarted = "promoted as it starts"
    case deviceDown = "outside link down"
    case addressGone = "outside address removed"
    case managerKilled = "keepalived killed"
    case reboot = "reboot, and back"
    case split = "split and healed"
    case tenChanges = "ten changes in ten seconds"

    var isByKeepalived: Bool { self == .keepalived || self == .managerKilled }

    /// Those of every test run; all with CTSYNC_MATRIX, or those that CTSYNC_WAYS names.
    static var wanted: [TakeoverWay] {
        guard TakeoverMatrix.isWhole else { return [.planned, .deviceDown, .addressGone] }
        return allCases.filter { TakeoverMatrix.names($0.rawValue, in: "CTSYNC_WAYS") }
    }
}

extension TakeoverSetUp {
    /// The same with CTSYNC_SETUPS.
    static var wanted: [TakeoverSetUp] {
        guard TakeoverMatrix.isWhole else { return [.dark] }
        return allCases.filter { TakeoverMatrix.names($0.rawValue, in: "CTSYNC_SETUPS") }
    }
}

/// Why a loss is none of ours.
struct KnownLoss {
    let reason: String
    /// How many of a hundred may be lost.
    let percent: Int

    /// The reason that explains all that were lost, if there is one.
    static func explaining(
        _ row: Survivors, _ way: TakeoverWay, _ setUp: TakeoverSetUp
    ) -> KnownLoss? {
        of(row.kind, way, setUp).flatMap {
            (row.of - row.alive) * 100 <= $0.percent * row.of ? $0 : nil
        }
    }

    private static func of(
        _ kind: String, _ way: TakeoverWay, _ setUp: TakeoverSetUp
    ) -> KnownLoss? {
        switch (kind, way, setUp) {
        case ("short TCP", .crash, _):
            KnownLoss(
                reason: "established in the last milliseconds before the crash, and not yet sent",
                percent: 1)
        case ("UDP", .justStarted, _), ("ICMP", .justStarted, _), ("aged UDP", .justStarted, _):
            KnownLoss(
                reason: "a packet of a stream without handshake came before the table did, and "
                    + "began a new connection, with another port",
                percent: 100)
        default: nil
        }
    }
}

enum TakeoverMatrix {
    /// The file that the whole matrix is written to; without it a cut of it is run.
    static let file = ProcessInfo.processInfo.environment["CTSYNC_MATRIX"]
    static var isWhole: Bool { file != nil }

    /// Whether a variable of the environment is not there, or has a word of the name.
    static func names(_ name: String, in variable: String) -> Bool {
        guard let words = ProcessInfo.processInfo.environment[variable] else { return true }
        return words.split(separator: ",").contains { name.contains($0) }
    }

    /// One line a cell: way, set-up, kind, alive, of, pause in seconds or "-", reason of a loss.
    static func write(_ rows: [Survivors], _ way: TakeoverWay, _ setUp: TakeoverSetUp) throws {
        guard let file, let handle = FileHandle(forWritingAtPath: file) else { return }
        defer { try? handle.close() }
        try handle.seekToEnd()
        for row in rows {
            let pause = row.pause.map { String(format: "%.2f", $0) } ?? "-"
            let known = KnownLoss.explaining(row, way, setUp)
            let loss = row.alive < row.of ? known?.reason ?? "" : ""
            let words = [
                way.rawValue, setUp.rawValue, row.kind, "\(row.alive)", "\(row.of)", pause, loss,
            ]
            try handle.write(contentsOf: Data((words.joined(separator: "\t") + "\n").utf8))
        }
    }
}

extension ClusterTests {
    /// Ways of a takeover by traffic by set-up: what survives, and the longest pause. A cut of it runs
    /// with all tests; `make takeovers` runs all, and prints it.
    @Suite struct TakeoverMatrixTests {
        @Test(arguments: TakeoverSetUp.wanted, TakeoverWay.wanted)
        func everythingSurvives(_ setUp: TakeoverSetUp, _ way: TakeoverWay) throws {
            let pair = try TakeoverPair(setUp, byKeepalived: way.isByKeepalived)
            let cluster = pair.cluster
            defer { pair.close() }
            do {
                let traffic = try MixedTraffic(
                    cluster, ipv6: setUp == .ipv6, isWhole: TakeoverMatrix.isWhole,
                    hasFTP: setUp != .zones)
                defer { traffic.stop() }
                if setUp != .conntrackd {
                    try eventually("entries at the standby", detail: { cluster.logs }) {
                        try cluster.firewalls[1].table().count >= 10
                    }
                    try cluster.waitInSync()
                }
                traffic.reset()
                try take(way, pair)
                // A second for what goes wrong later than at once, and for a probe.
                pause(TakeoverMatrix.isWhole ? 1.5 : 0.5)
                let rows = traffic.survivors()
                try TakeoverMatrix.write(rows, way, setUp)
                print(rows.map { "\($0.kind) \($0.alive)/\($0.of)" }.joined(separator: ", "))
                guard setUp != .conntrackd else { return }
                for row in rows where KnownLoss.explaining(row, way, setUp) == nil {
                    #expect(row.alive == row.of, "\(row)\n\(cluster.logs)")
                }
            } catch {
                Issue.record("\(error)\n\(cluster.logs)")
            }
        }

        private func take(_ way: TakeoverWay, _ pair: TakeoverPair) throws {
            switch way {
            case .crash:
                try pair.crash(0)
                try pair.promote(1)
            case .keepalived:
                try pair.stopManager(0)
            case .planned:
                try pair.demote(0)
                try pair.promote(1)
            case .justStarted:
                try pair.startEmpty(1)
                try pair.promote(1)
            case .deviceDown, .addressGone:
                let host = pair.cluster.firewalls[0].host
                try host.ip(
                    way == .deviceDown
                        ? "link set wan0 down"
                        : "addr flush dev wan0 to 10.2.0.1\naddr flush dev wan0 to fd00:2::1")
                pause(0.5)
                try pair.demote(0)
                try pair.promote(1)
            case .managerKilled:
                try pair.killManager(0)
            case .reboot:
                try pair.demote(0)
                try pair.promote(1)
                try pair.reboot(0)
                try pair.demote(1)
                try pair.promote(0)
            case .split:
                try pair.isolate(0)
                try pair.promote(1)
                pause(1)
                try pair.heal(0)
            case .tenChanges:
                for number in 0..<10 {
                    try pair.promote(1 - number % 2)
                    pause(0.8)
                }
            }
        }
    }
}
