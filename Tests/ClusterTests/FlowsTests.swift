// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

import enum CTSync.Words

extension ClusterTests {
    /// `ct_sync flows` beside real traffic, without a daemon.
    @Suite struct FlowsTests {
        /// A program of this kind, its output and errors each in a file.
        private final class Flows {
            let child: ChildProcess
            let output: String
            let errors: String

            init(_ words: [String], _ cluster: Cluster, _ host: Namespace) throws {
                output = "\(cluster.directory)/flows-\(words.joined().hashValue)"
                errors = output + ".errors"
                // Its errors are the shell's way of a second file.
                child = try ChildProcess(
                    host.words(
                        [
                            "sh", "-c", "errors=$1; shift; exec \"$@\" 2> \"$errors\"", "sh",
                            errors, try Daemon.binary(), "flows",
                        ] + words), logFile: output)
                try eventually("a subscription to events", detail: { said }) {
                    let table = try host.run(["cat", "/proc/net/netlink"])
                    return table.split(separator: "\n").contains { line in
                        let columns = line.split(separator: " ")
                        return columns.count == 10 && columns[1] == "12"
                            && columns[2] == "\(child.pid)" && columns[3].hasSuffix("7")
                    }
                }
            }

            deinit {
                child.end()
            }

            var said: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

            func lines(_ path: String? = nil) -> [String] {
                let text = (try? String(contentsOfFile: path ?? output, encoding: .utf8)) ?? ""
                return text.split(separator: "\n").map { String($0) }
            }

            func objects(_ path: String? = nil) throws -> [[String: Any]] {
                try lines(path).map { line in
                    let parsed = try JSONSerialization.jsonObject(with: Data(line.utf8))
                    return try #require(parsed as? [String: Any])
                }
            }
        }

        /// A connection of some exchanges, whose entry is then removed: when the kernel would collect
        /// it by itself nobody knows.
        private func talk(_ cluster: Cluster) throws {
            let connection = try EchoConnection(
                from: cluster.client, to: Plan.service(ipv6: false))
            for _ in 0..<3 { try connection.exchange() }
            try cluster.firewalls[0].host.run(["conntrack", "-D", "-p", "tcp"])
            try connection.resetOnClose()
        }

        @Test func connectionsBeginAndEndWithBytesPacketsAndDuration() throws {
            try scenario(
                translation: .masquerade,
                settings: [
                    "net.netfilter.nf_conntrack_acct": 1,
                    "net.netfilter.nf_conntrack_timestamp": 1,
                    "net.netfilter.nf_conntrack_events": 1,
                ], replication: .on, starts: false
            ) { cluster in
                let host = cluster.firewalls[0].host
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                let log = cluster.directory + "/flows.log"
                let flows = try Flows(
                    ["--json", "--log", log, "--events", "begin,end", "protocol", "tcp"], cluster,
                    host)
                try talk(cluster)
                try eventually("the end of the connection", detail: { flows.said }) {
                    try flows.objects(log).last?["event"] as? String == "end"
                }
                let (begin, end) = (try flows.objects(log)[0], try flows.objects(log)[1])
                #expect(try flows.objects(log).count == 2)
                #expect(begin["event"] as? String == "begin")
                #expect(begin["state"] as? String == "SYN_SENT")
                #expect(begin["bytes"] == nil)
                for event in [begin, end] {
                    #expect(event["src"] as? String == "10.1.0.2")
                    #expect(event["dst"] as? String == "10.2.0.2" && event["dport"] as? Int == 7000)
                    // Masqueraded: the answers go to the firewall.
                    #expect(event["reply_dst"] as? String == "10.2.0.1")
                }
                #expect(end["sport"] as? Int == begin["sport"] as? Int)
                // 3 times 64 bytes with headers, in each direction.
                #expect(try #require(end["packets"] as? Int) >= 5)
                #expect(try #require(end["bytes"] as? Int) > 192 + 5 * 40)
                #expect(try #require(end["reply_bytes"] as? Int) > 192)
                #expect(try #require(end["duration"] as? Double) < 60)
                // It was removed by a program.
                #expect(try #require(end["portid"] as? Int) > 0 && begin["portid"] == nil)
                #expect(flows.said == "")

                // Rotation: the old log stays as it is, the new one gets the rest.
                try FileManager.default.moveItem(atPath: log, toPath: log + ".1")
                flows.child.kill(SIGHUP)
                try eventually("a new log") { access(log, F_OK) == 0 }
                try talk(cluster)
                try eventually("an event in the new log") {
                    try flows.objects(log).last?["event"] as? String == "end"
                }
                #expect(flows.lines(log + ".1").count == 2)
                flows.child.kill(SIGTERM)
                #expect(try flows.child.waitForEnd(within: 10) == 0)
            }
        }

        @Test func whatTheKernelDropsIsCounted() throws {
            try withCluster { cluster in
                let host = cluster.firewalls[0].host
                let flows = try Flows(
                    ["--buffer", "1", "--events", "begin", "destination", "10.2.0.2"], cluster,
                    host)
                flows.child.kill(SIGSTOP)
                try MadeEntries.create(0..<20_000, in: host)
                flows.child.kill(SIGCONT)
                func count(_ event: String, _ lines: [String]) -> Int {
                    lines.count { $0.contains(" event=\(event) ") }
                }
                var missed = 0
                try eventually("each of 20,000 seen or missed", within: 30) {
                    let lines = flows.lines()
                    missed = lines.filter { $0.contains(" event=missed ") }.compactMap {
                        Int($0.split(separator: "=").last ?? "")
                    }.reduce(0, +)
                    return count("begin", lines) + missed == 20_000
                }
                #expect(missed > 1_000)
                // Once the buffer has room again, nothing is missed.
                try MadeEntries.create(20_000..<20_100, in: host)
                try eventually("100 more") {
                    count("begin", flows.lines()) + missed == 20_100
                }
                flows.child.kill(SIGTERM)
                #expect(try flows.child.waitForEnd(within: 10) == 0)
                let words = "ct_sync: \(Words.number(missed)) events were missed; --buffer"
                #expect(flows.said.contains(words))
                #expect(flows.said.contains("nf_conntrack_events is 2, not 1"))
                #expect(flows.said.contains("nf_conntrack_acct is 0"))
            }
        }

        /// As fast as one thread makes connections, tens of thousands a second, with a change each:
        /// each event is shown or counted.
        @Test func nothingIsLostSilently() throws {
            try withCluster { cluster in
                let host = cluster.firewalls[0].host
                try host.set(["net.netfilter.nf_conntrack_events": 1])
                let log = cluster.directory + "/flows.log"
                let flows = try Flows(["--log", log, "destination", "10.2.0.2"], cluster, host)
                let count = 40_000
                let began = Stopwatch.seconds()
                try MadeEntries.apply(
                    (0..<count).flatMap { [.create($0), .mark($0, 7), .delete($0)] }, in: host)
                let rate = Int(Double(count) / (Stopwatch.seconds() - began))
                var events = 0
                var missed = 0
                try eventually(
                    "each of \(3 * count) events", within: 60, every: 0.2,
                    detail: { "\(events) events, \(missed) missed" }
                ) {
                    let lines = flows.lines(log)
                    let losses = lines.filter { $0.contains(" event=missed ") }
                    missed = losses.compactMap { Int($0.split(separator: "=").last ?? "") }
                        .reduce(0, +)
                    events = lines.count - losses.count
                    return events + missed == 3 * count
                }
                print("\(rate) connections/s: \(events) events shown, \(missed) counted as missed")
            }
        }

        @Test func aSummaryCountsEventsAndTheTable() throws {
            try withCluster { cluster in
                let host = cluster.firewalls[0].host
                // The end of what was made before the program began is an event too.
                try host.set(["net.netfilter.nf_conntrack_events": 1])
                try MadeEntries.create(0..<100, in: host)
                let flows = try Flows(["--summary", "1", "--json"], cluster, host)
                try MadeEntries.create(100..<140, in: host)
                try MadeEntries.delete(0..<10, in: host)
                var begun = 0
                var ended = 0
                var last: [String: Any] = [:]
                try eventually(
                    "summaries of all events", within: 20,
                    detail: { "\(flows.lines())\n\(flows.said)" }
                ) {
                    let summaries = try flows.objects()
                    begun = summaries.compactMap { $0["begun"] as? Int }.reduce(0, +)
                    ended = summaries.compactMap { $0["ended"] as? Int }.reduce(0, +)
                    last = summaries.last ?? [:]
                    return begun >= 40 && ended >= 10
                }
                #expect(begun == 40 && ended == 10)
                #expect(last["connections"] as? Int == 130 && last["missed"] as? Int == 0)
                let protocols = try #require(last["protocols"] as? [[String: Any]])
                let counts = protocols.map {
                    ($0["protocol"] as? String, $0["connections"] as? Int)
                }
                #expect(
                    counts.contains { $0 == ("tcp", 65) } && counts.contains { $0 == ("udp", 65) })
                let services = try #require(last["destinations"] as? [[String: Any]])
                #expect(services.first?["service"] as? String == "10.2.0.2 tcp/443")
                let source = try #require(last["sources"] as? [[String: Any]]).first
                #expect(source?["address"] as? String == "10.1.1.0")
                #expect(source?["connections"] as? Int == 130)
            }
        }

        @Test func whatIsRefusedIsOneSentence() throws {
            try withCluster { cluster in
                let host = cluster.firewalls[0].host
                func flows(_ words: String) throws -> CommandResult {
                    let words = words.split(separator: " ").map { String($0) }
                    return try Command.result(
                        of: host.words([try Daemon.binary(), "flows"] + words), deadline: 10)
                }
                for (words, status, sentence) in [
                    ("protocol foo", 64, "\"foo\" must be tcp"),
                    ("--events begin,foo", 64, "must be begin, change and end"),
                    ("--summary 0", 64, "must be a number from 1 to 86400"),
                    ("--summary 1 --events end", 64, "--events is given with --summary"),
                    ("--log /nonexistent/log", 75, "open /nonexistent/log"),
                ] {
                    let result = try flows(words)
                    #expect(result.status == status && result.output.isEmpty, "\(words): \(result)")
                    #expect(result.errors.contains(sentence), "\(words): \(result.errors)")
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                }
                let nobody = try Command.result(
                    of: host.words(
                        ["setpriv", "--bounding-set=-all", try Daemon.binary(), "flows"]))
                #expect(nobody.status == 77 && nobody.errors.contains("needs CAP_NET_ADMIN"))
            }
        }
    }
}
