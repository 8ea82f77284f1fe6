// SPDX-License-Identifier: GPL-2.0-or-later

extension Metrics {
    typealias Sample = MetricsText.Sample

    /// Who it is, and its role.
    static let node: [Metric] = [
        Metric("ct_sync_build_info", .gauge, "The daemon and its settings; always 1.") { status in
            let destinations =
                if case .list(let list) = status.value(at: "link.destinations") {
                    list.map { $0.words(at: "address") }.joined(separator: ",")
                } else {
                    ""
                }
            return [
                Sample(
                    "1",
                    [
                        ("version", status.words(at: "version")),
                        ("wire", status.words(at: "wire_version")),
                        ("node_id", status.words(at: "node_id")),
                        ("syncdev", status.words(at: "link.device")),
                        ("group", destinations),
                    ])
            ]
        },
        Metric(
            "ct_sync_start_time_seconds", .gauge, "When the daemon was started, since 1970."
        ) { status in
            status.timestamp(before: "uptime_seconds").map { [Sample($0)] } ?? []
        },
        Metric("ct_sync_role", .gauge, "The role: 1 for the one that it has.") { status in
            [Role.master, .slave].map { role in
                let isRole = status["role"] == .text(role.description)
                return Sample(isRole ? "1" : "0", [("role", role.description)])
            }
        },
        Metric(
            "ct_sync_epoch_info", .gauge, "The epoch of the master that it is or follows; always 1."
        ) { status in
            let epoch = status.words(at: "epoch")
            return epoch.isEmpty ? [] : [Sample("1", [("epoch", epoch)])]
        },
        Metric(
            "ct_sync_role_changes_total", .counter, "How often the role changed since the start.",
            by: "to", ["master": "role_changes.to_master", "slave": "role_changes.to_slave"]),
        Metric(
            "ct_sync_last_promotion_duration_seconds", .gauge,
            "How long the last promotion took.", at: "promotion_seconds"),
        Metric(
            "ct_sync_well", .gauge, "Whether the node is as it should be: 0 has a reason.",
            at: "well"),
        Metric(
            "ct_sync_l2drop", .gauge, "Whether the node drops its traffic at layer 2.",
            at: "l2drop"),
        Metric(
            "ct_sync_l2drop_error", .gauge, "Whether that is not as the role asks for."
        ) { status in
            [Sample(status.words(at: "l2drop_error").isEmpty ? "0" : "1")]
        },
    ]

    /// Whether a takeover would work.
    static let sync: [Metric] = [
        Metric(
            "ct_sync_in_sync", .gauge, "Whether a slave has all that the master has.",
            at: "in_sync"),
        Metric(
            "ct_sync_in_sync_since_timestamp_seconds", .gauge,
            "Since when it has been in sync, since 1970."
        ) { status in
            guard status["in_sync"] == .flag(true) else { return [] }
            return status.timestamp(before: "sync_age_seconds").map { [Sample($0)] } ?? []
        },
        Metric(
            "ct_sync_not_in_sync", .gauge, "Why a slave is not in sync: 1 for the reason."
        ) { status in
            guard case .flag(let isInSync) = status["in_sync"] else { return [] }
            return NodeReport.Reason.ofSync.map { reason in
                let isReason = !isInSync && status["reason"] == .text(reason.rawValue)
                return Sample(isReason ? "1" : "0", [("reason", reason.rawValue)])
            }
        },
        Metric(
            "ct_sync_ready_slaves", .gauge, "How many slaves of a master could take over now.",
            at: "ready_slaves"),
        Metric(
            "ct_sync_known_slaves", .gauge, "How many slaves a master has heard of.",
            at: "known_slaves"),
        Metric(
            "ct_sync_alone_seconds", .gauge, "For how long no slave could have taken over."
        ) { status in
            guard status["role"] == .text(Role.master.description) else { return [] }
            return [Sample(status.metric(at: "alone_age_seconds") ?? "0")]
        },
        Metric(
            "ct_sync_clock_offset_seconds", .gauge, "This node's clock less the master's.",
            at: "clock_offset_seconds"),
        Metric(
            "ct_sync_lacking_entries", .gauge,
            "Entries that need what this node lacks, by what it is."
        ) { status in
            let lacks = status.groups("lacking")
            return ["nat_chain", "nat", "labels", "address", "helper"].map { what in
                let count = lacks.filter { $0["what"] == .text(what) }.reduce(UInt64(0)) {
                    sum, lack in
                    guard case .number(let count) = lack["count"] else { return sum }
                    return sum + count
                }
                return Sample(String(count), [("what", what)])
            }
        },
        Metric(
            "ct_sync_verified_entries", .gauge, "Entries that the last proof compared.",
            at: "verified.entries"),
        Metric(
            "ct_sync_verified_differences", .gauge, "How many of them differed.",
            at: "verified.differed"),
        Metric(
            "ct_sync_verified_timestamp_seconds", .gauge, "When that was, since 1970."
        ) { status in
            status.timestamp(before: "verified.age_seconds").map { [Sample($0)] } ?? []
        },
    ]

    /// The other nodes.
    static let peers: [Metric] = [
        Metric(
            "ct_sync_peer_last_heard_timestamp_seconds", .gauge,
            "When another node was heard last, since 1970."
        ) { status in
            guard case .seconds(let now) = status["time_seconds"] else { return [] }
            return status.groups("peers").compactMap { peer in
                guard case .seconds(let age) = peer["heard_age_seconds"] else { return nil }
                return Sample(
                    StatusValue.decimal(now - age),
                    [("peer_id", peer.words(at: "id")), ("role", peer.words(at: "role"))])
            }
        },
        Metric(
            "ct_sync_peer_in_sync", .gauge, "Whether another node says that it is in sync."
        ) { status in
            samples(of: status, "in_sync")
        },
        Metric(
            "ct_sync_peer_backlog_packets", .gauge, "How many packets another node is behind."
        ) { status in
            samples(of: status, "behind_packets")
        },
    ]

    private static func samples(of status: StatusReport, _ key: String) -> [Sample] {
        status.groups("peers").compactMap { peer in
            peer.metric(at: key).map { Sample($0, [("peer_id", peer.words(at: "id"))]) }
        }
    }
}
