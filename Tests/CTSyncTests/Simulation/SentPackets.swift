// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// What the nodes send, and what masters report of their slaves.
///
/// Promise 4: a slave asks, reports, and hands over what it is asked for; it says nothing in a master's name.
/// Promise 10: a slave that a master reports as in sync with it was, when it was heard last.
final class SentPackets {
    /// When each node was a slave in sync last, and of which claim.
    private var inSync: [Int: (claim: MasterClaim, at: Instant)] = [:]
    /// The first packet that a slave should not have sent.
    private var fault: String?
    /// The longest that a packet is on its way, and a tick.
    private static let delay = 30 * Duration.millisecond

    /// Looks at a packet before it is sent.
    func look(_ packet: [UInt8], of node: SimulatedNode) {
        guard fault == nil, node.role != .master else { return }
        do throws(WireError) {
            let header = try PacketHeader.read(packet.span.bytes, nil)
            let isMasters = header.type == .SYNC || header.type == .MASTER_ANNOUNCE
            guard isMasters, !header.flags.contains(.handover) else { return }
            fault = "slave \(node.index) has sent a \(header.type)"
        } catch {
            fault = "node \(node.index) has sent what nobody can read: \(error)"
        }
    }

    /// - Throws: what breaks a promise.
    func check(_ nodes: [SimulatedNode], now: Instant) throws {
        if let fault { throw SimulatedCluster.Failure(4, fault) }
        for node in nodes {
            guard let slave = node.slave?.slave, slave.outOfSync(now: now) == nil else { continue }
            inSync[node.index] = (slave.master, now)
        }
        // Those that are there are few, but the list is made for each look.
        guard now / Duration.millisecond % 16 == 0 else { return }
        for node in nodes {
            guard let daemon = node.daemon, daemon.engine.role == .master else { continue }
            for peer in daemon.master.exchange.peers where peer.report.isInSync {
                let known = inSync[Int(peer.nodeID) - 1]
                if let known, known.claim == daemon.engine.claim,
                    known.at + Self.delay >= peer.lastHeard
                {
                    continue
                }
                throw SimulatedCluster.Failure(
                    10,
                    """
                    master \(node.index) reports slave \(peer.nodeID - 1) in sync, heard at \
                    \(peer.lastHeard / Duration.millisecond), which was so last at \
                    \(known.map { "\($0.at / Duration.millisecond) under \($0.claim)" } ?? "no time")
                    """)
            }
        }
    }
}
