// SPDX-License-Identifier: GPL-2.0-or-later

/// One rule of the replication filter: what a connection must be like, and what becomes of it then.
///
/// All criteria that are given must hold; a rule without any holds for every connection. Protocol,
/// networks and zone never change in a connection's life; TCP state, ASSURED and mark do. Addresses
/// are those of the original direction, before translation. Fixed size, so that a list of rules is
/// one flat array.
package struct ReplicationRule: Sendable, Equatable, BitwiseCopyable {
    /// Whether the connection is replicated, or else left alone.
    var isAccept: Bool
    /// IPPROTO_*; nil for any.
    package var protocolNumber: UInt8?
    /// Where the original tuple's source must be.
    package var source: ReplicationFilter.Network?
    /// Where the original tuple's destination must be.
    package var destination: ReplicationFilter.Network?
    /// The conntrack zone, whichever direction it applies to.
    package var zone: UInt16?
    /// TCP states, a bit for each of `enum tcp_conntrack`; 0 for any.
    package var tcpStates: UInt16 = 0
    /// Whether IPS_ASSURED is asked for.
    var needsAssured = false
    /// The mark's bits that are looked at; 0 for none.
    var markMask: UInt32 = 0
    /// What they must be.
    var markValue: UInt32 = 0

    /// A rule for every connection.
    package init(isAccept: Bool) {
        self.isAccept = isAccept
    }

    /// Whether it looks at anything that can change in a connection's life.
    @inline(__always)
    var isChangeable: Bool { tcpStates != 0 || needsAssured || markMask != 0 }

    /// Whether the criteria hold that no change of the connection can touch.
    @inline(__always)
    func holdsAlways(for key: borrowing Key) -> Bool {
        if let protocolNumber, key.tuple.protocolNumber != protocolNumber { return false }
        if let zone, key.zone != zone { return false }
        if let source, !source.contains(key.tuple.source, key.tuple.family) { return false }
        if let destination, !destination.contains(key.tuple.destination, key.tuple.family) {
            return false
        }
        return true
    }

    /// Whether the criteria hold that can change; nil if that hangs on a TCP state not said.
    ///
    /// The kernel says the mark whenever it is not 0, and the status always.
    @inline(__always)
    func holdsNow(for entry: borrowing Entry) -> Bool? {
        if needsAssured, !entry.status.contains(.IPS_ASSURED) { return false }
        if markMask != 0, entry.mark & markMask != markValue { return false }
        guard tcpStates != 0 else { return true }
        if entry.fields.contains(.protocolInfo) {
            return tcpStates >> UInt16(entry.protocolInfo.state & 15) & 1 == 1
        }
        // The kernel keeps the state of a connection in a flowtable to itself: it is open.
        let offload: Status = [.IPS_OFFLOAD, .IPS_HW_OFFLOAD]
        if !entry.status.isDisjoint(with: offload) {
            return tcpStates >> UInt16(TCPState.established) & 1 == 1
        }
        return nil
    }
}
