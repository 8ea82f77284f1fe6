// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// `ct_sync history` and the journal of real daemons.
    @Suite struct HistoryTests {
        private static func events(_ node: Firewall) throws -> [String] {
            try node.command(["history"]).output.split(separator: "\n").map { String($0) }
        }

        private static func objects(_ node: Firewall) throws -> [[String: Any]] {
            let json = try node.command(["history", "--json"]).output
            return try #require(
                try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]])
        }

        /// Whether the lines have these pieces, in their order.
        private static func has(_ lines: [String], _ pieces: [String]) -> Bool {
            var rest = lines[...]
            for piece in pieces {
                guard let index = rest.firstIndex(where: { $0.contains(piece) }) else {
                    return false
                }
                rest = rest[(index + 1)...]
            }
            return true
        }

        @Test func itHasWhatTheStatusSaid() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let node = cluster.firewalls[1]
                try eventually("a slave that is well") { try node.status()?.isInSync == true }
                #expect(try Self.has(Self.events(node), ["SLAVE of node 1, in sync after "]))
            }
        }

        /// A takeover, phase by phase: its connection goes on, so a packet is forwarded and its windows are
        /// seen.
        @Test func aTakeoverHasItsTimeline() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--l2drop", "1"])
                let way = Way(ipv6: false, translation: .none)
                let server = try EchoServer(on: way.service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: way.target)
                try connection.exchange()
                try second.waitForEqualTable(to: first, atLeast: 1)
                try cluster.crash(first)
                try cluster.promote(second)
                let phases = [
                    "takeover: order at ", " claim · +", " open · +", " first packet forwarded · +",
                    " timers started (", " windows of 1 connection seen",
                ]
                var line: String?
                try eventually("a timeline", within: 25, detail: { second.log }) {
                    // Both directions, so that both windows are known.
                    try connection.exchange()
                    line = try Self.events(second).first { $0.contains("takeover:") }
                    return line != nil
                }
                var rest = Substring(try #require(line))
                for phase in phases {
                    let place = try #require(rest.range(of: phase), "\(phase) in \(line ?? "")")
                    rest = rest[place.upperBound...]
                }
                #expect(second.log.contains(phases[0]))
                // The same for programs, in the same order.
                let takeover = try #require(
                    try Self.objects(second).last { $0["kind"] as? String == "takeover" }?[
                        "takeover"] as? [String: Any])
                let steps = ["claim", "open", "first_packet", "windows"]
                let times = steps.compactMap { takeover["\($0)_seconds"] as? Double }
                #expect(times.count == steps.count && times == times.sorted(), "\(takeover)")
                #expect(takeover["timers"] is Int && takeover["windows"] as? Int == 1)
                #expect(takeover["still_dark"] as? Bool == false)
                #expect(takeover["slave_again_seconds"] is NSNull)
                // What it started as is none.
                #expect(!first.log.contains("takeover:"))
            }
        }

        /// The packets of some milliseconds, and none after them: those that pass while the promotion ends
        /// are seen too.
        @Test func aTakeoverWithFewPacketsHasItsFirst() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--l2drop", "1"])
                for firewall in cluster.firewalls { try cluster.plug(firewall) }
                let probe = try ForwardingProbe(
                    from: cluster.client, to: cluster.server, at: Plan.service(ipv6: false))
                defer { probe.stop() }
                try probe.waitForArrivals()
                try cluster.waitInSync()
                try second.waitUntilWell()
                try cluster.unplug(first)
                try probe.arm()
                try second.write("1\n")
                _ = try probe.firstArrival()
                probe.stop()
                try second.waitForRole(.master)
                try second.write("0\n")
                var takeover: [String: Any]?
                try eventually("a takeover in the history", detail: { second.log }) {
                    takeover =
                        try Self.objects(second).last { $0["kind"] as? String == "takeover" }?[
                            "takeover"] as? [String: Any]
                    return takeover != nil
                }
                #expect(takeover?["first_packet_seconds"] is Double, "\(takeover ?? [:])")
            }
        }

        @Test func everyTransitionIsToldOnce() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons()
                // It looks at itself once a second: what it has not seen it cannot tell.
                try eventually("a master with a slave", detail: { first.log }) {
                    try Self.has(Self.events(first), ["1 of 1 slaves could take over now"])
                }
                kill(try #require(first.daemon).pid, SIGSTOP)
                defer { kill(first.daemon?.pid ?? 0, SIGCONT) }
                try eventually("a silent master", detail: { second.log }) {
                    try Self.has(
                        Self.events(second), ["SLAVE, NOT IN SYNC: node 1 is silent"])
                }
                try second.write("1\n")
                try second.waitForRole(.master)
                kill(try #require(first.daemon).pid, SIGCONT)
                try first.waitForRole(.slave)
                try cluster.waitInSync()
                try second.waitUntilWell()
                let story = [
                    "SLAVE: started", "SLAVE of node 1, in sync after ",
                    "SLAVE, NOT IN SYNC: node 1 is silent", "MASTER, promoted in ",
                    "slave 1 (172.31.255.1) is in sync", "MASTER, 1 of 1 slaves could take over",
                ]
                try eventually("the whole story", detail: { second.log }) {
                    try Self.has(Self.events(second), story)
                }
                #expect(Self.has(second.log.split(separator: "\n").map { String($0) }, story))
                try eventually("the other node's", detail: { first.log }) {
                    try Self.has(
                        Self.events(first),
                        [
                            "MASTER, promoted in ", "1 of 1 slaves could take over now",
                            ": gave way to node 2", "SLAVE of node 2, in sync after",
                        ])
                }
                for line in story {
                    #expect(second.log.components(separatedBy: line).count == 2, "\(second.log)")
                }
                // As JSON, and without a daemon.
                let objects = try Self.objects(second)
                #expect(objects.contains { $0["reason"] as? String == "master_silent" })
                #expect(objects.compactMap { $0["number"] as? Int } == Array(1...objects.count))
                let kept = try Self.events(second)
                second.kill()
                let left = try second.command(["history"])
                #expect(left.status == 0)
                #expect(
                    left.output.split(separator: "\n").map { String($0) }.starts(with: kept))
            }
        }
    }
}
