// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync

/// What `ct_sync --help` shows.
enum Help {
    private static let head = """
        OVERVIEW: Replicates a firewall's tracked connections to its standbys.

        Runs in the foreground until SIGTERM. The cluster manager writes master or slave
        to the control file to change the role, and reads the role from it.
        ct_sync status shows the state of a running daemon.

        USAGE: ct_sync --syncdev DEVICE --id NUMBER [--state master|slave] [options]
               ct_sync syncdev=DEVICE id=NUMBER [state=1|0] [name=value ...]
               ct_sync status [--control-file PATH] [--json]
               ct_sync l2drop status|off
               ct_sync promote|demote [--control-file PATH] [--wait] [--timeout SECONDS]
               ct_sync dump [--json] [--expect] [criteria]
               ct_sync flush [--yes] | resync | initsync-rate [NUMBER]

        """

    /// All of it.
    static var text: String {
        head + "\nSETTINGS, as flags; also as name=value, with underscores or dashes:\n"
            + SettingsTable.help
    }
}
