// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// The version of the daemon and of its command line; not that of the wire format. The packages take
/// theirs from this line.
package let CTSyncVersion = "0.1.0"

/// What --version shows: the version, the commit that was built if the build was told, and the version
/// of the wire format.
package var CTSyncVersionLine: String {
    let commit = String(cString: ctsync_commit())
    let wire = "wire \(PacketHeader.version >> 4).\(PacketHeader.version & 0xF)"
    return "ct_sync \(CTSyncVersion) (\(commit.isEmpty ? "" : "commit \(commit), ")\(wire))"
}
