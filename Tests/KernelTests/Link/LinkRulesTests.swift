// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

@Suite struct LinkRulesTests {
    private func listing(_ rules: LinkRules) throws -> String {
        try Nftables(isStateless: true).run("list table inet \(rules.table)")
    }

    @Test func syncTrafficIsUntracked() throws {
        try NetworkNamespace.run(isTracking: true) {
            let rules = try LinkRules(index: 1, port: 4_000)
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_000)
            #expect(try NetworkNamespace.table().isEmpty)
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_001)
            #expect(try NetworkNamespace.table().count == 1, "another port is tracked")

            // What a killed daemon left is replaced, not added to.
            let again = try LinkRules(index: 1, port: 4_000)
            #expect(again.table == rules.table && again.table == "ct_sync_1_4000")
            #expect(try listing(again).split(separator: "notrack").count == 3)

            try again.remove()
            try again.remove()
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_000)
            #expect(try NetworkNamespace.table().count == 2, "without the table it is tracked")
        }
    }

    /// While the kernel frees what was removed, a takeover may have to wait.
    @Test func nothingIsRemovedThatIsNotThere() throws {
        try NetworkNamespace.run {
            let monitor = try RulesetMonitor()
            _ = try LinkRules(index: 1, port: 4_000)
            #expect(try !monitor.drain())
            _ = try LinkRules(index: 1, port: 4_000)
            #expect(try monitor.drain(), "what a killed daemon left")
        }
    }

    /// Whatever somebody removes or adds, the table is loaded as it was; one that is as it was is
    /// left alone.
    @Test(arguments: [
        "flush ruleset", "delete table inet ct_sync_1_4000",
        "flush chain inet ct_sync_1_4000 forward", "flush table inet ct_sync_1_4000",
        "insert rule inet ct_sync_1_4000 forward accept",
    ])
    func changedRulesAreLoadedAgain(_ change: String) throws {
        try NetworkNamespace.run {
            let rules = try LinkRules(index: 1, port: 4_000)
            let before = try listing(rules)
            #expect(try !rules.restore(index: 1))
            _ = try rules.hasNews()
            _ = try Nftables().run(change)
            if !change.hasPrefix("insert") { #expect(try rules.hasNews()) }
            #expect(try rules.restore(index: 1))
            #expect(try listing(rules) == before)
            #expect(try !rules.restore(index: 1))
        }
    }

    /// Packets that are counted as dropped do not make the table another one.
    @Test func countersDoNotMatter() throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 type veth peer name b0")
            let rules = try LinkRules(index: if_nametoindex("a0"), port: 4_000)
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_000)
            let listing = try Nftables().run("list table inet \(rules.table)")
            #expect(listing.contains("counter packets 1 "))
            #expect(try !rules.restore(index: rules.index))
        }
    }

    /// With another device the old table goes, and so does that of a killed daemon whose device is
    /// gone; the table and the device of a second daemon are left alone.
    @Test func onlyTheTablesOfDevicesThatAreThereStay() throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 type veth peer name b0")
            try NetworkNamespace.shell("ip link add c0 type veth peer name d0")
            let (a, c) = (if_nametoindex("a0"), if_nametoindex("c0"))
            _ = try Nftables().run("add table inet ct_sync_4711_4000")
            _ = try Nftables().run("add table inet ct_sync_4711_4001")
            let rules = try LinkRules(index: a, port: 4_000)
            let second = try LinkRules(index: c, port: 4_000)
            #expect(try rules.restore(index: a), "the second daemon's device is exempt now")
            #expect(try listing(rules).contains("iif != { \"a0\", \"c0\" }"))
            #expect(try listing(second).contains("iif != { \"a0\", \"c0\" }"))
            #expect(try !rules.restore(index: a) && !second.restore(index: c))

            let b = if_nametoindex("b0")
            #expect(try rules.restore(index: b))
            let tables = try Nftables().run("list tables").split(separator: "\n").sorted()
            #expect(
                tables
                    == [
                        "table inet ct_sync_\(b)_4000", "table inet ct_sync_\(c)_4000",
                        "table inet ct_sync_4711_4001",
                    ].sorted { $0 < $1 }.map { $0[...] })
        }
    }
}
