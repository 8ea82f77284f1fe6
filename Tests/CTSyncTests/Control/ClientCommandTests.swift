// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A command to type next reaches the daemon that names it.
@Suite struct ClientCommandTests {
    @Test(
        arguments: [
            ("ct_sync status -v", "ct_sync status --control-file /run/east/state -v"),
            ("ct_sync verify", "ct_sync verify --control-file /run/east/state"),
            (
                "ct_sync check    on node 2",
                "ct_sync check --control-file /run/east/state    on node 2"
            ),
            ("ct_sync --version", "ct_sync --version"),
            ("ct_sync l2drop status", "ct_sync l2drop status"), ("ip link", "ip link"), ("", ""),
        ]) func ofAGroupOfItsOwnItHasTheControlFile(_ command: String, _ typed: String)
    {
        #expect(ClientCommand.typed(command, controlFile: "/run/east/state") == typed)
        #expect(ClientCommand.typed(command, controlFile: "/run/ct_sync/state") == command)
        #expect(ClientCommand.typed(command, controlFile: "") == command)
    }

    /// In the status, in a check, in a rehearsal.
    @Test func soHaveAllThatAreToBeTyped() {
        var report = SampleReport.slave(.kernelChanged)
        report.controlFile = "/run/east/state"
        let command = "ct_sync verify --control-file /run/east/state"
        #expect(report.remarks.first?.tries.first?.command == command)
        #expect(Rehearsal.missing(report).first?.command == command)
        #expect(
            StatusText(report.status).text.hasSuffix(
                "; counters: ct_sync status --control-file /run/east/state -v\n"))
        let remedies = NodeCheck(report, NodeCheck.Facts()).items.map(\.remedy)
        #expect(remedies.contains(command))
        #expect(
            remedies.allSatisfy { !$0.hasPrefix("ct_sync ") || $0.contains("/run/east/state") })
    }
}
