// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// The commands of an operator: dump, flush, resync, initsync-rate.
    @Suite struct OperatorTests {
        private func objects(_ result: CommandResult) throws -> [[String: Any]] {
            #expect(result.status == 0, "\(result.errors)")
            let parsed = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            return try #require(parsed as? [[String: Any]])
        }

        @Test func dumpShowsReplicasWithAgeAndOriginAndWhatAMasterSends() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<20, in: first.host)
                try cluster.startDaemons()
                try MadeEntries.create(20..<30, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 30)
                let replicas = try objects(second.command(["dump", "--json"]))
                #expect(replicas.count == 30)
                for replica in replicas {
                    let port = try #require(replica["sport"] as? Int)
                    #expect(replica["origin"] as? String == (port < 10_020 ? "initsync" : "live"))
                    #expect(try #require(replica["age"] as? Int) < 60)
                    #expect(replica["src"] as? String == "10.1.1.0")
                    #expect(replica["reply_dport"] as? Int == port)
                    #expect(replica["status"] as? [String] == ["SEEN_REPLY", "ASSURED"])
                    let isTCP = port % 2 == 0
                    #expect(replica["protocol"] as? String == (isTCP ? "tcp" : "udp"))
                    #expect(replica["state"] as? String == (isTCP ? "ESTABLISHED" : nil))
                }
                // Age and origin are the slave's; all else is the same.
                let sent = try objects(first.command(["dump", "--json"]))
                #expect(sent.count == 30 && sent.allSatisfy { $0["origin"] == nil })
                let lines = try second.command(["dump", "protocol", "udp"]).output
                #expect(lines.split(separator: "\n").count == 15)
                #expect(lines.contains("family=ipv4 protocol=udp src=10.1.1.0 dst=10.2.0.2"))
                let none = try second.command(["dump", "--json", "source 192.0.2.0/24"])
                #expect(none.status == 0 && none.output == "[]\n")
                let expectations = try second.command(["dump", "--json", "--expect"])
                #expect(expectations.status == 0 && expectations.output == "[]\n")
                let matched = try second.command(["dump", "--expect", "protocol", "tcp"])
                #expect(matched.status == 64 && matched.errors.contains("criteria are for"))
                let bad = try second.command(["dump", "protocol", "foo"])
                #expect(bad.status == 64 && bad.errors.hasPrefix("ct_sync: \"foo\" must be tcp"))
                second.kill()
                let absent = try second.command(["dump"])
                #expect(absent.status == 2)
                #expect(absent.errors.hasPrefix("ct_sync: no daemon answers beside "))
            }
        }

        @Test func aHundredThousandAreShownWhileTheStreamGoesOn() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100_000, in: first.host)
                try first.start(role: .master, ["--initsync-rate", "0"])
                try second.start(role: .slave)
                try cluster.waitInSync(within: 40)
                // A client that asks and then does not read holds up nobody.
                let pid = try #require(second.daemon).pid
                let deaf = try DeafClient(path: second.controlFile + ".sock")
                defer { deaf.close() }
                pause(0.2)
                let before = try residentKilobytes(pid)
                let result = try second.command(["dump"])
                #expect(result.status == 0)
                let lines = result.output.split(separator: "\n")
                #expect(lines.count == 100_000 && Set(lines).count == 100_000)
                #expect(try residentKilobytes(pid) < before + 4_096)
                let masters = try first.command(["dump"])
                #expect(masters.output.split(separator: "\n").count == 100_000)
                try MadeEntries.delete(0..<100, in: first.host)
                try eventually("the deletions") { try second.status()?.entriesHeld == 99_900 }
                try cluster.crash(first)
                try cluster.promote(second)
                #expect(try second.status()?.role == .master)
                // What the deaf client asked for is no more: it is told so.
                let rest = try deaf.readToEnd()
                #expect(
                    rest.hasSuffix(
                        "error=the role changed while the table was shown\nerrno=125\n\n"))
            }
        }

        private func residentKilobytes(_ pid: pid_t) throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            return try #require(line.flatMap { Int(words(String($0))[1]) })
        }

        @Test func flushOfASlaveIsFilledAgain() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<500, in: first.host)
                try second.makeOwn(sourcePort: 22_001)
                try cluster.startDaemons()
                try eventually("the replicas") { try second.count() == 501 }
                let result = try second.command(["flush"])
                #expect(result.status == 0, "\(result)")
                #expect(result.output == "500 replicas deleted, initsync asked for\n")
                try eventually("the replicas again", detail: { second.statusLine }) {
                    try second.count() == 501 && second.status()?.isInSync == true
                }
                // With nobody to fill it again it is refused.
                try cluster.crash(first)
                try eventually("a silent master") { try second.status()?.isInSync == false }
                let refused = try second.command(["flush"])
                #expect(refused.status == 1 && refused.output == "")
                #expect(
                    refused.errors
                        == "ct_sync: no master is heard: after flush nobody would have the "
                        + "connections; --yes does it\n")
                #expect(try second.count() == 501)
                let resync = try second.command(["resync"])
                #expect(resync.status == 1 && resync.errors.contains("no master is heard"))
                #expect(try second.command(["flush", "--yes"]).status == 0)
                #expect(try second.count() == 1, "its own connection stays")
            }
        }

        @Test func flushOfAMasterNeedsYesAndReachesItsSlaves() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<5_000, in: first.host)
                try first.makeOwn(sourcePort: 22_001)
                try cluster.startDaemons(["--replicate", "ignore mark 7"])
                try MadeEntries.apply((0..<10).map { .mark($0, 7) }, in: first.host)
                try eventually("the replicas") { try second.count() == 4_990 }
                let refused = try first.command(["flush"])
                #expect(refused.status == 1 && refused.output == "")
                #expect(refused.errors.hasPrefix("ct_sync: this node is master: flush would cut"))
                #expect(try first.count() == 5_001)
                let result = try first.command(["flush", "--yes"])
                #expect(result.status == 0 && result.output == "4,990 connections deleted\n")
                #expect(try first.count() == 11, "left out and own ones stay")
                try eventually("the slave's too") { try second.count() == 0 }
                try #require(try second.status()?.isInSync == true)
            }
        }

        @Test func resyncAndInitsyncRateWorkWhileItRuns() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<2_000, in: first.host)
                try cluster.startDaemons()
                let begun = try #require(try first.status()).text
                #expect(begun.contains("\"initsyncs_sent\": 1"))
                let asked = try second.command(["resync"])
                #expect(asked.status == 0 && asked.output == "initsync asked for\n")
                try eventually("a second walk", detail: { first.statusLine }) {
                    try first.status()?.text.contains("\"initsyncs_sent\": 2") == true
                }
                let walked = try first.command(["resync"])
                #expect(walked.output == "the table is walked for all slaves\n")
                try eventually("a third walk, received", detail: { second.statusLine }) {
                    try second.status()?.text.contains("\"initsyncs_received\": 3") == true
                }
                #expect(try second.status()?.isInSync == true)
                // So slow that it does not end, then as fast as it can.
                #expect(try first.command(["initsync-rate", "1"]).status == 0)
                #expect(
                    try first.command(["initsync-rate"]).output == "1 packets per second\n")
                _ = try first.command(["resync"])
                pause(0.5)
                #expect(
                    try #require(try first.status()).text.contains("\"initsync_running\": true"))
                #expect(try first.command(["initsync-rate", "0"]).status == 0)
                try eventually("its end", detail: { first.statusLine }) {
                    try first.status()?.text.contains("\"initsync_running\": false") == true
                }
                let bad = try first.command(["initsync-rate", "fast"])
                #expect(bad.status == 64 && bad.errors.contains("\"fast\" but must be a number"))
                try second.waitForEqualTable(to: first, atLeast: 2_000)
            }
        }
    }
}

/// A client that asks for a dump and then does not read.
private final class DeafClient {
    private let raw: CInt

    init(path: String) throws {
        raw = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(raw, $0, length) }
        }
        guard connected == 0, send(raw, "get=dump\n\n", 10, 0) == 10 else {
            throw CallFailed("connect \(path)")
        }
    }

    func readToEnd() throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(raw, &buffer, buffer.count, 0)
            guard count >= 0 else { throw CallFailed("recv") }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    func close() { Foundation.close(raw) }
}
