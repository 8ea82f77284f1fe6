// SPDX-License-Identifier: GPL-2.0-or-later

/// The keys and values of `ct_sync status --json`: schema 1, documented in ct_sync-status(5). A key is
/// never renamed or given another meaning; new ones may come.
extension NodeReport {
    /// The version of the schema.
    static let schema = 1

    /// All of it.
    var status: StatusReport {
        var status = StatusReport()
        addNode(&status)
        addVerdict(&status)
        addSync(&status)
        addLink(&status)
        addSeal(&status)
        status.add(
            list: "links",
            links.map { link in
                var line = StatusReport()
                line.add("device", link.device)
                line.add("present", link.isPresent)
                line.add("carrier", link.hasCarrier)
                line.add("mtu_bytes", UInt64(clamping: link.mtu))
                line.add("stream", link.carriesStream.map { .flag($0) } ?? .absent)
                line.add("id", count: link.nodeID.map { Int($0) })
                line.add("address", link.address)
                line.add("heard_age_seconds", age: link.heardAge)
                line.add("hears", link.hears.map { .flag($0) } ?? .absent)
                return line
            })
        status.add(list: "peers", peers.map { Self.status($0) })
        status.add(
            list: "dropped",
            drops.map { drop in
                var line = StatusReport()
                line.add("reason", drop.reason)
                line.add("count", drop.count)
                line.add("last_address", drop.address)
                line.add("last_age_seconds", age: drop.age)
                return line
            })
        status.add(
            list: "lacking",
            lacks.map { lack in
                var line = StatusReport()
                line.add("what", lack.what)
                line.add("name", lack.name)
                line.add("count", lack.count)
                return line
            })
        status.add(
            list: "injection_errors",
            injectionErrors.map { error in
                var line = StatusReport()
                line.add("errno", error.name)
                line.add("count", error.count)
                return line
            })
        status.add("counters", .group(counters))
        return status
    }

    private func addNode(_ status: inout StatusReport) {
        status.add("schema", Self.schema)
        status.add("version", CTSyncVersion)
        status.add("wire_version", "\(PacketHeader.version >> 4).\(PacketHeader.version & 0xF)")
        status.add("host", host)
        status.add("node_id", nodeID)
        status.add("node_id_from", nodeIDFrom)
        status.add("control_file", controlFile)
        status.add("time_seconds", .seconds(microseconds: Int64(clamping: wallMicroseconds)))
        status.add("uptime_seconds", age: uptime)
        status.add("role", role.description)
        status.add("role_age_seconds", age: roleAge)
        status.add("role_cause", roleCause)
        status.add("epoch", epoch)
        status.add("promotion_seconds", age: promotionMicroseconds.map { $0 * 1_000 })
        status.add("promotion_waits", isPromotionWaiting)
        status.add(group: "role_changes") { group in
            group.add("to_master", roleChanges.toMaster)
            group.add("to_slave", roleChanges.toSlave)
        }
    }

    private func addVerdict(_ status: inout StatusReport) {
        let problem = problem
        status.add("well", problem == nil)
        status.add("verdict", verdict)
        status.add("reason", problem?.reason.rawValue)
        status.add("reason_text", problem?.sentence)
        status.add(
            list: "facts",
            facts.map { fact in
                var line = StatusReport()
                line.add("text", fact)
                return line
            })
        status.add(list: "remarks", remarks.map(\.status))
    }

    private func addSync(_ status: inout StatusReport) {
        let isSlave = role == .slave
        status.add("in_sync", isSlave ? .flag(outOfSync == nil) : .absent)
        status.add("sync_age_seconds", age: isSlave ? syncAge : nil)
        status.add("master_heard", knowsMaster ? .flag(isMasterHeard) : .absent)
        status.add("ready_slaves", count: isSlave ? nil : readySlaves)
        status.add("known_slaves", count: isSlave ? nil : knownSlaves)
        status.add("alone_age_seconds", age: isSlave ? nil : aloneAge)
        status.add(group: "entries") { group in
            group.add("held", UInt64(clamping: entriesHeld))
            group.add("master", count: isSlave ? entriesOfMaster : entriesHeld)
            group.add("limit", count: entriesLimit)
        }
        status.add(group: "initsync") { group in
            group.add("running", initsync.isRunning)
            group.add("entries_done", count: isSlave && initsync.isRunning ? initsync.done : nil)
            group.add("entries_expected", count: isSlave ? entriesOfMaster : nil)
            group.add("left_seconds", age: isSlave ? initsync.left(of: entriesOfMaster) : nil)
            group.add("unanswered_requests", count: isSlave ? initsync.unansweredRequests : nil)
        }
        status.add(group: "verified") { group in
            group.add("age_seconds", age: verified?.age)
            group.add("entries", count: verified?.entries)
            group.add("differed", count: verified?.differed)
            group.add("added", count: verified?.added)
        }
        let master = role == .slave ? peers.first { $0.role == .master } : nil
        status.add(
            "clock_offset_seconds",
            master.map { .seconds(microseconds: $0.clockOffsetMicroseconds) } ?? .absent)
        status.add("l2drop", l2drop.isOn)
        status.add("l2drop_backend", l2drop.backend)
        status.add("l2drop_error", l2drop.failure)
    }

    private func addLink(_ status: inout StatusReport) {
        status.add(group: "link") { group in
            group.add("device", link.device)
            group.add("present", link.isPresent)
            group.add("carrier", link.hasCarrier)
            group.add("mtu_bytes", UInt64(clamping: link.mtu))
            group.add("port", link.port)
            group.add("multicast", link.isMulticast)
            group.add(
                list: "destinations",
                link.destinations.map { address in
                    var line = StatusReport()
                    line.add("address", address)
                    return line
                })
            group.add("packets_in", link.packetsIn)
            group.add("packets_out", link.packetsOut)
            group.add("bytes_in", link.bytesIn)
            group.add("bytes_out", link.bytesOut)
            group.add("messages_in", link.messagesIn)
            group.add("messages_out", link.messagesOut)
            group.add("largest_packet_bytes", UInt64(clamping: link.largestPacket))
            group.add("sends_refused", link.refused)
            group.add("last_refusal", link.lastRefusal)
        }
    }

    private static func status(_ peer: Peer) -> StatusReport {
        let isSlave = peer.role == .slave
        var line = StatusReport()
        line.add("id", peer.nodeID)
        line.add("role", peer.role.description)
        line.add("address", peer.address)
        line.add("heard_age_seconds", age: peer.heardAge)
        line.add("heard", peer.isHeard)
        line.add("in_sync", isSlave ? .flag(peer.isInSync) : .absent)
        line.add("ready", isSlave ? .flag(peer.isReady) : .absent)
        line.add("entries", count: peer.entries)
        line.add("behind_packets", peer.behindPackets.map { .number($0) } ?? .absent)
        line.add(
            "clock_offset_seconds", .seconds(microseconds: peer.clockOffsetMicroseconds))
        return line
    }
}

extension NodeReport.Remark {
    /// As an object of the list `remarks`.
    fileprivate var status: StatusReport {
        var line = StatusReport()
        line.add("reason", reason.rawValue)
        line.add("text", text)
        line.add(
            list: "try",
            tries.map { hint in
                var command = StatusReport()
                command.add("command", hint.command)
                command.add("why", hint.why)
                return command
            })
        return line
    }
}
