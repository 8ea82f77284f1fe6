// SPDX-License-Identifier: GPL-2.0-or-later

extension Metrics {
    /// The sync link.
    static let link: [Metric] = [
        Metric(
            "ct_sync_packets_total", .counter, "Packets of the sync link.", by: "direction",
            ["in": "link.packets_in", "out": "link.packets_out"]),
        Metric(
            "ct_sync_bytes_total", .counter, "Bytes of these packets.", by: "direction",
            ["in": "link.bytes_in", "out": "link.bytes_out"]),
        Metric(
            "ct_sync_messages_total", .counter, "Messages in these packets.", by: "direction",
            ["in": "link.messages_in", "out": "link.messages_out"]),
        Metric(
            "ct_sync_sends_refused_total", .counter, "Packets that the kernel refused to send.",
            at: "link.sends_refused"),
        Metric(
            "ct_sync_dropped_packets_total", .counter,
            "Packets that were not for this node, or damaged, by reason."
        ) { status in
            status.groups("dropped").compactMap { drop in
                drop.metric(at: "count").map {
                    Sample($0, [("reason", drop.words(at: "reason"))])
                }
            }
        },
        Metric(
            "ct_sync_lost_packets_total", .counter, "Packets that were lost for good.",
            at: "counters.packets_lost"),
        Metric(
            "ct_sync_recovered_packets_total", .counter, "Lost packets that were sent again.",
            at: "counters.packets_recovered"),
        Metric(
            "ct_sync_duplicate_packets_total", .counter, "Packets that came twice.",
            at: "counters.packets_duplicate"),
        Metric(
            "ct_sync_retransmitted_packets_total", .counter, "Packets that it has sent again.",
            at: "counters.retransmitted"),
        Metric(
            "ct_sync_nacks_total", .counter, "Requests for lost packets.", by: "direction",
            ["in": "counters.nacks_received", "out": "counters.nacks_sent"]),
    ]

    /// The table, and what is done to it.
    static let table: [Metric] = [
        Metric(
            "ct_sync_entries", .gauge, "Replicas of a slave, entries of a master.",
            at: "entries.held"),
        Metric(
            "ct_sync_entries_limit", .gauge, "How many entries the kernel may have.",
            at: "entries.limit"),
        Metric(
            "ct_sync_events_total", .counter, "Events that a master took from its kernel.",
            at: "counters.events"),
        Metric(
            "ct_sync_overruns_total", .counter,
            "How often events were lost, by where there was no room.", by: "where",
            ["kernel": "counters.overruns", "ring": "counters.ring_overruns"]),
        Metric(
            "ct_sync_flush_held_entries", .gauge,
            "Entries that a device's end took from a master and that its slaves keep.",
            at: "counters.flush_held.entries"),
        Metric(
            "ct_sync_flush_held_total", .counter, "How many entries were kept so.",
            at: "counters.flush_held.total"),
        Metric(
            "ct_sync_initsyncs_total", .counter, "Walks of the whole table.", by: "direction",
            ["in": "counters.initsyncs_received", "out": "counters.initsyncs_sent"]),
        Metric(
            "ct_sync_initsync_running", .gauge, "Whether one is running.", at: "initsync.running"),
        Metric(
            "ct_sync_initsync_entries_total", .counter, "Entries that were sent in them.",
            at: "counters.initsync_entries_sent"),
        Metric(
            "ct_sync_injections_total", .counter, "What a slave did to its kernel's table.",
            by: "operation",
            [
                "create": "counters.injected.created", "update": "counters.injected.updated",
                "delete": "counters.injected.deleted",
            ]),
        Metric(
            "ct_sync_injection_errors_total", .counter, "What the kernel refused, by error."
        ) { status in
            status.groups("injection_errors").compactMap { error in
                error.metric(at: "count").map { Sample($0, [("errno", error.words(at: "errno"))]) }
            }
        },
        Metric(
            "ct_sync_refused_entries", .gauge, "Replicas that the kernel does not take.",
            at: "counters.refused_entries"),
        Metric(
            "ct_sync_incomplete_entries", .gauge, "Replicas of which not all has been said.",
            at: "counters.incomplete_entries"),
        Metric(
            "ct_sync_waiting_entries", .gauge,
            "Replicas that wait for the connection they belong to.",
            at: "counters.related.waiting_for_parent"),
    ]
}
