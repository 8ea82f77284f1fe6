// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

@Suite(.serialized)
struct SettingsTests {
    @Test func eventsAreSwitchedOn() throws {
        try NetworkNamespace.run {
            try KernelSettings.write("nf_conntrack_events", 0)
            #expect(try KernelSettings.events() == 0)
            try KernelSettings.setEvents()
            #expect(try KernelSettings.events() == 1)
            #expect(try KernelSettings.conntrackMax() > 0)
            #expect(try KernelSettings.conntrackCount() == 0)
        }
    }

    @Test func absentSettingIsAnError() throws {
        #expect(throws: SystemError.self) { try KernelSettings.read("nf_conntrack_nonsense") }
    }

    @Test func syncTrafficIsUntracked() throws {
        try NetworkNamespace.run(isTracking: true) {
            let link = try UntrackedLink(device: "lo", port: 4_000)
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_000)
            #expect(try NetworkNamespace.table().isEmpty)
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_001)
            #expect(try NetworkNamespace.table().count == 1, "another port is tracked")

            // What a killed daemon left is replaced, not added to.
            let again = try UntrackedLink(device: "lo", port: 4_000)
            #expect(again.table == link.table && again.table == "ct_sync_1_4000")
            let listing = try Nftables().run("list table inet \(again.table)")
            #expect(listing.split(separator: "notrack").count == 3)

            try again.remove()
            try again.remove()
            try NetworkNamespace.sendUDP(from: 1_000, port: 4_000)
            #expect(try NetworkNamespace.table().count == 2, "without the table it is tracked")
        }
    }

    @Test func absentDeviceIsAnError() throws {
        #expect(throws: NftablesError.self) { try UntrackedLink(device: "nosuch0", port: 1) }
    }

    @Test func refusedCommandsAreQuoted() throws {
        let nftables = try Nftables()
        do throws(NftablesError) {
            _ = try nftables.run("list table inet ct_sync_nonsense")
            Issue.record("a table that is not there was listed")
        } catch {
            #expect(error.commands == "list table inet ct_sync_nonsense")
            #expect(error.message.contains("No such file"))
        }
    }
}
