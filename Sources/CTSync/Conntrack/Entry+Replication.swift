// SPDX-License-Identifier: GPL-2.0-or-later

extension Entry {
    /// Seconds given to an entry whose kernel does not count its time (a flowtable does).
    static let offloadedTimeoutSeconds: UInt32 = 86_400

    /// Takes out what means nothing on another node, and completes what a flowtable keeps from
    /// ctnetlink, so that the entry works on a node without one.
    @inline(__always)
    mutating func prepareForReplication() {
        protocolInfo.originalFlags &= TCPFlag.transferable
        protocolInfo.replyFlags &= TCPFlag.transferable
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
