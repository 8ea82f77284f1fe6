// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

@testable import CTSync

extension ClusterTests {
    /// What the rules leave out is not sent, and not touched where it is.
    @Suite struct FilterTests {
        // MadeEntries of an even number are TCP, the others UDP.

        @Test func onlyWhatIsAcceptedIsReplicatedAndTheRestIsLeftAlone() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100, in: first.host)
                // Left over in the standby's kernel: the TCP ones are the filter's business.
                try MadeEntries.create(1_000..<1_100, in: second.host)
                try cluster.startDaemons(["--replicate", "accept protocol tcp"])
                try second.waitFor(replicatedFrom: first, foreign: 50) { $0.protocolNumber == 6 }
                try MadeEntries.create(100..<200, in: first.host)
                try MadeEntries.delete(0..<50, in: first.host)
                try second.waitFor(replicatedFrom: first, foreign: 50) { $0.protocolNumber == 6 }
                let status = try #require(try first.status()).text
                #expect(status.contains("\"events_filtered_by_kernel\": true"), "\(status)")
                #expect(status.contains("\"events\": 75"), "the kernel drops UDP: \(status)")
                try #require(try second.status()?.isInSync == true)
            }
        }

        /// Nodes are given the same rules; where they are not, a slave still keeps to its own, and takes
        /// nothing away that the master does not name: its rules may leave it out.
        @Test func aSlaveKeepsToItsOwnRules() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<100, in: first.host)
                try MadeEntries.create(1_000..<1_100, in: second.host)
                // The same connection on both: the slave's stays when the master's ends.
                try MadeEntries.create(1..<2, in: second.host)
                try first.start(role: .master)
                // Before that it takes over what a node has that nobody else may have.
                try eventually("a whole master", detail: { first.statusLine }) {
                    try first.status()?.text.contains("\"whole\": true") == true
                }
                try second.start(role: .slave, ["--replicate", "ignore protocol udp"])
                // What it leaves out would be lost at a takeover: it says so.
                try eventually("rules that differ", detail: { second.statusLine }) {
                    try second.status()?.reason == "rules_differ"
                }
                try Self.expect(all: 50, of: first, at: second, besides: 101)
                try MadeEntries.delete(0..<2, in: first.host)
                try MadeEntries.create(100..<110, in: first.host)
                try Self.expect(all: 54, of: first, at: second, besides: 101)
                let status = try #require(try second.status())
                #expect(!status.isInSync && status.entriesHeld == 104)
                #expect(status.text.contains("\"left_out\": 55"), "\(status.text)")
            }
        }

        /// Waits until a slave has the TCP connections of its master, so many, and so many others.
        private static func expect(
            all count: Int, of master: Firewall, at slave: Firewall, besides others: Int
        ) throws {
            try eventually("\(count) of the master's", detail: { slave.statusLine }) {
                let theirs = try master.table().filter { $0.protocolNumber == 6 }
                let mine = try slave.table()
                return theirs.count == count && mine.count == count + others
                    && theirs.allSatisfy { their in
                        mine.contains { $0.protocolNumber == 6 && $0.original == their.original }
                    }
            }
        }

        @Test func aMarkTakesConnectionsInAndOut() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<40, in: first.host)
                try cluster.startDaemons(["--replicate", "accept mark 0x1/0x1"])
                #expect(try second.count() == 0)
                try MadeEntries.apply((0..<30).map { .mark($0, 3) }, in: first.host)
                try second.waitFor(replicatedFrom: first) { $0.mark & 1 == 1 }
                #expect(try second.count() == 30)
                try MadeEntries.apply((10..<20).map { .mark($0, 2) }, in: first.host)
                try second.waitFor(replicatedFrom: first) { $0.mark & 1 == 1 }
                #expect(try second.count() == 20)
                // The same by an initsync.
                second.kill()
                try MadeEntries.apply((0..<10).map { .mark($0, 4) }, in: first.host)
                try second.start(role: .slave, ["--replicate", "accept mark 0x1/0x1"])
                try cluster.waitInSync()
                try second.waitFor(replicatedFrom: first) { $0.mark & 1 == 1 }
                #expect(try second.count() == 10)
            }
        }

        /// A mark that a rule sets on a packet is reported without the TCP state.
        @Test func aRealConnectionEntersByItsMarkAndLivesThroughATakeover() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons(["--replicate", "accept mark 1"])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                #expect(try second.count() == 0)
                let marks = """
                    table inet marks {
                        chain forward {
                            type filter hook forward priority 10;
                            meta l4proto tcp ct mark set 1
                        }
                    }
                    """
                try first.host.nft(marks)
                try second.host.nft(marks)
                try connection.exchange()
                try second.waitForEqualTable(to: first)
                try #require(try second.status()?.isInSync == true)
                try cluster.crash(first)
                try cluster.promote(second)
                try connection.exchange()
            }
        }

        @Test func onlyEstablishedConnectionsAndTheyLiveThroughATakeover() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try cluster.startDaemons([
                    "--replicate", "accept state ESTABLISHED,FIN_WAIT,CLOSE_WAIT,LAST_ACK",
                ])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                // Half open: nobody answers there.
                try first.host.run(
                    words("conntrack -I -p tcp -s 10.1.0.9 -d 10.2.0.9 --sport 1 --dport 2")
                        + words("--state SYN_SENT -t 100"))
                try second.waitFor(replicatedFrom: first) { $0.tcp?.state == 3 }
                #expect(try second.count() == 1)
                try cluster.crash(first)
                try cluster.promote(second)
                try connection.exchange()
            }
        }

        /// What a helper announces on a connection that the rules leave out stays with it, and
        /// goes in with it.
        @Test func anExpectationGoesWithItsConnection() throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for firewall in cluster.firewalls {
                    try firewall.host.nft(
                        """
                        table inet helpers {
                            ct helper ftp { type "ftp" protocol tcp; }
                            chain prerouting {
                                type filter hook prerouting priority -150;
                                tcp dport 7000 ct helper set "ftp"
                            }
                        }
                        """)
                }
                try cluster.startDaemons([
                    "--reconcile", "1", "--replicate", "accept mark 0x1/0x1",
                ])
                func expectations(_ firewall: Firewall) throws -> Int {
                    try firewall.host.run(["conntrack", "-L", "expect"])
                        .split(separator: "\n").count
                }
                func walks() throws -> Int {
                    try number(first, "initsyncs_sent")
                }
                let service = Plan.service(ipv6: false)
                let dialog = try FTPDialog(
                    from: cluster.client, to: cluster.server, ipv6: false, at: service,
                    target: service)
                _ = try dialog.announce(isPassive: true, port: 30_001)
                #expect(try expectations(first) == 1)
                let before = try walks()
                try eventually("two walks") { try walks() >= before + 2 }
                #expect(try expectations(second) == 0)
                #expect(try number(second, "expectations", "held") == 0)
                #expect(try number(first, "initsync_entries_sent") == 0)
                try first.host.inside { try Self.mark(port: 7000, 1) }
                try eventually("the expectation at the standby") { try expectations(second) == 1 }
                #expect(try number(second, "expectations", "held") == 1)
            }
        }

        /// Gives the connections to a port of this namespace's table a mark.
        private static func mark(port: UInt16, _ mark: UInt32) throws {
            let batch = try RequestBatch()
            let dump = try TableDump()
            try dump.start()
            while try dump.step({ (each: borrowing Entry) in
                guard each.key.tuple.destinationPort == port else { return }
                var entry = copy each
                entry.mark = mark
                _ = batch.update(entry, timeoutSeconds: entry.timeoutSeconds, tag: 0)
            }) {}
            try batch.send { _, number in Issue.record("errno \(number)") }
        }

        // MARK: Own addresses

        /// 10.1.0.1 is an address of both firewalls.
        @Test(arguments: [false, true])
        func ownConnectionsAreReplicatedByChoiceAndNeverPurged(_ isChosen: Bool) throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<10, in: first.host)
                try second.makeOwn(sourcePort: 22_001)
                let flags = ["--own-connections", isChosen ? "1" : "0"]
                try cluster.startDaemons(flags)
                try first.makeOwn(sourcePort: 22_002)
                try MadeEntries.create(10..<20, in: first.host)
                try eventually("the replicas", detail: { second.statusLine }) {
                    try second.count() == (isChosen ? 22 : 21)
                }
                func ports() throws -> [UInt16] {
                    try second.table().map(\.original.sourcePort).filter { $0 > 22_000 }.sorted()
                        .filter { $0 < 22_010 }
                }
                #expect(try ports() == (isChosen ? [22_001, 22_002] : [22_001]))
                // An initsync with its purge, and a daemon that finds the table as it is.
                try second.stop()
                try second.start(role: .slave, flags)
                try cluster.waitInSync()
                #expect(try ports().contains(22_001))
                let resync = try second.command(["resync"])
                #expect(resync.status == 0 && resync.output == "initsync asked for\n")
                try eventually("a second initsync") {
                    try second.status()?.text.contains("\"initsyncs_received\": 2") == true
                }
                #expect(try ports().contains(22_001))
                guard isChosen else { return }
                try first.host.run(words("conntrack -D -p tcp --sport 22002"))
                try eventually("the end of the replica") { try ports() == [22_001] }
            }
        }

        @Test func badRulesAreRefusedAtTheStart() throws {
            try withReportingCluster { cluster in
                let node = cluster.firewalls[0]
                let file = cluster.directory + "/ct_sync.conf"
                try "options ct_sync replicate=\"accept mark 1/0\"\n".write(
                    toFile: file, atomically: true, encoding: .utf8)
                let lines = [
                    (["--replicate", "accept protocol foo"], "\"foo\" must be tcp, udp", 64),
                    (["--config", file], "\(file):1: replicate is", 78),
                ]
                for (words, sentence, status) in lines {
                    let result = try Command.result(
                        of: node.host.words(
                            [try Daemon.binary()] + node.flags(role: .slave) + words), deadline: 5)
                    #expect(result.status == status && result.errors.contains(sentence))
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                }
            }
        }
    }
}

/// A cluster whose kernels report all entries, those made before the daemons start too: by default
/// they report these or not by whether anybody on the machine listens.
func withReportingCluster(_ body: (Cluster) throws -> Void) throws {
    try scenario(
        settings: ["net.netfilter.nf_conntrack_events": 1], replication: .on, starts: false, body)
}

/// A number in a daemon's status, by its group, if it is in one, and key.
func number(_ firewall: Firewall, _ path: String...) throws -> Int {
    let text = try firewall.statusCommand().output
    var value: Any? = try JSONSerialization.jsonObject(with: Data(text.utf8))
    if let counters = (value as? [String: Any])?["counters"] as? [String: Any],
        counters[path[0]] != nil
    {
        value = counters
    }
    for key in path { value = (value as? [String: Any])?[key] }
    guard let number = value as? Int else {
        throw NeverHappened("\(path) in \(text)", within: 0)
    }
    return number
}

/// The words of a line.
func words(_ line: String) -> [String] {
    line.split(separator: " ").map { String($0) }
}

extension Firewall {
    /// Waits until the table is what a filter chooses of another's, and as many entries that only
    /// this one has and that the filter leaves out.
    func waitFor(
        replicatedFrom other: Firewall, foreign: Int = 0, _ isChosen: (TableEntry) -> Bool
    ) throws {
        try eventually("\(name) holds what is chosen of \(other.name)", detail: { statusLine }) {
            let (mine, theirs) = (try table(), try other.table().filter(isChosen))
            let (left, right) = (mine.filter(isChosen), mine.filter { !isChosen($0) })
            return TableDifference(left, theirs).isEmpty && right.count == foreign
        }
    }

    /// How many connections its table has.
    func count() throws -> Int { try table().count }

    /// A connection to this firewall's own address, as of an administrator's.
    func makeOwn(sourcePort: Int) throws {
        try host.run(
            words("conntrack -I -p tcp -s 10.1.0.2 -d 10.1.0.1 --sport \(sourcePort) --dport 22")
                + words("--state ESTABLISHED -u SEEN_REPLY,ASSURED -t 3600"))
    }

    /// Runs a command of the client and gives what it said.
    func command(_ words: [String]) throws -> CommandResult {
        try Command.result(of: [try Daemon.binary()] + words + ["--control-file", controlFile])
    }
}
