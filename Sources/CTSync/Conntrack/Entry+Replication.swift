// SPDX-License-Identifier: GPL-2.0-or-later

extension Entry {
    /// Replaces the reply tuple and these fields, said or not, by another's.
    mutating func take(_ parts: Fields, of other: Entry) {
        fields = fields.subtracting(parts).union(other.fields.intersection(parts))
        reply = other.reply
        if parts.contains(.status) { status = other.status }
        if parts.contains(.timeout) { timeoutSeconds = other.timeoutSeconds }
        if parts.contains(.mark) { mark = other.mark }
        if parts.contains(.protocolInfo) { protocolInfo = other.protocolInfo }
        if parts.contains(.parent) { extras.parent = other.extras.parent }
        if parts.contains(.helper) { extras.helper = other.extras.helper }
        if parts.contains(.labels) {
            extras.labelsLow = other.extras.labelsLow
            extras.labelsHigh = other.extras.labelsHigh
        }
        if parts.contains(.sequenceAdjustment) {
            extras.originalAdjustment = other.extras.originalAdjustment
            extras.replyAdjustment = other.extras.replyAdjustment
        }
        if parts.contains(.synproxy) {
            extras.synproxyISN = other.extras.synproxyISN
            extras.synproxyITS = other.extras.synproxyITS
            extras.synproxyTSOffset = other.extras.synproxyTSOffset
        }
    }

    /// Seconds given to an entry whose kernel does not count its time (a flowtable does).
    static let offloadedTimeoutSeconds: UInt32 = 86_400

    /// Whether a TCP packet has passed by a kernel's entry: one that was made by ctnetlink and seen no
    /// packet lacks IP_CT_TCP_FLAG_MAXACK_SET in both directions. Before ESTABLISHED nothing tells.
    var hasSeenPackets: Bool {
        guard key.tuple.protocolNumber == ProtocolNumber.tcp else { return false }
        return protocolInfo.state < TCPState.established || isAcknowledged
    }

    /// Whether the kernel has seen an acknowledgement of a TCP connection, in either direction.
    var isAcknowledged: Bool {
        let flags = protocolInfo.originalFlags | protocolInfo.replyFlags
        return key.tuple.protocolNumber == ProtocolNumber.tcp && flags & TCPFlag.maxAckSet != 0
    }

    /// Takes out what means nothing on another node, and completes what a flowtable keeps from
    /// ctnetlink, so that the entry works on a node without one.
    @inline(__always)
    mutating func prepareForReplication() {
        protocolInfo.originalFlags &= TCPFlag.transferable
        protocolInfo.replyFlags &= TCPFlag.transferable
        // Of a connection whose window scales are known it is a replica's, not the connection's.
        if protocolInfo.originalFlags & protocolInfo.replyFlags & TCPFlag.windowScale != 0 {
            protocolInfo.originalFlags &= ~TCPFlag.beLiberal
            protocolInfo.replyFlags &= ~TCPFlag.beLiberal
        }
        fields.remove(.id)
        // The kernel refuses every later change of such an entry's timeout, so it could not be held.
        status.remove(.IPS_FIXED_TIMEOUT)
        let offload: Status = [.IPS_OFFLOAD, .IPS_HW_OFFLOAD]
        guard !status.isDisjoint(with: offload) else { return }
        status.subtract(offload)
        if !fields.contains(.timeout) {
            timeoutSeconds = Self.offloadedTimeoutSeconds
            fields.insert(.timeout)
        }
        if key.tuple.protocolNumber == ProtocolNumber.tcp, !fields.contains(.protocolInfo) {
            protocolInfo.state = TCPState.established
            protocolInfo.originalFlags = TCPFlag.beLiberal
            protocolInfo.replyFlags = TCPFlag.beLiberal
            fields.insert(.protocolInfo)
        }
    }
}
