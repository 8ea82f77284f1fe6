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
            #expect(try Kernel().setting(.events) == 0)
            #expect(try KeptSetting.events.keep(in: Kernel()) == .mended)
            #expect(try Kernel().setting(.events) == 1)
            #expect(try KernelSettings.conntrackMax() > 0)
            #expect(try KernelSettings.conntrackCount() == 0)
        }
    }

    @Test func absentSettingIsAnError() throws {
        #expect(throws: SystemError.self) { try KernelSettings.read("nf_conntrack_nonsense") }
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
