// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport

/// What grows on a slave only where the stream alone did not do.
struct RepairCounts: Equatable {
    let requested: Int
    let received: Int
    let lost: Int

    /// As a slave's status has them.
    init(_ slave: Firewall) throws {
        requested = try slave.count("initsyncs_requested")
        received = try slave.count("initsyncs_received")
        lost = try slave.count("packets_lost")
    }
}
