// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What the sender, the role engine and the control thread ask a master's protocol.
extension MasterProtocol {
    // MARK: For the control thread

    /// What the path to a slave takes.
    var pathLimit: PathLimit { slaves.withLock { $0.path.limit } }

    /// The device is another one: its path may be too.
    func forgetPath() {
        slaves.withLock { $0.path.forgetLimit() }
    }

    // MARK: For the sender

    /// The next packet to send again.
    func nextAgain(now: Instant) -> Retransmission.Item? {
        slaves.withLock { $0.retransmission.next(now: now) }
    }

    /// When the next packet is to be sent again; nil if none is.
    var againDue: Instant? { slaves.withLock { $0.retransmission.due } }

    // MARK: For the role engine

    /// What the master lacks, and from whom it can be had.
    ///
    /// - Parameter applied: how far the stream of the node has come from which it takes.
    func nextOfWholeness(applied: UInt64, now: Instant) -> Wholeness.Step {
        slaves.withLock { slaves in
            let step = slaves.wholeness.next(slaves.peers, applied: applied, now: now)
            switch step {
            case .take:
                ring.setPartial(true)
                // What it takes is none of its events: a walk has to tell the slaves.
                slaves.losses.tookOver()
                ring.setIncomplete(true)
                slaves.schedule.isPostponed = true
                slaves.schedule.require()
            case .becameWhole:
                ring.setPartial(false)
                births.end()
            case .wait, .leave, .whole: break
            }
            return step
        }
    }

    /// Records that all that a node held has been taken.
    func took(from nodeID: UInt8) {
        slaves.withLock { $0.wholeness.took(nodeID) }
    }

    /// Records what the node holds now of its predecessor's words.
    func inherited(_ holding: Holding) {
        slaves.withLock { $0.wholeness.inherited(holding) }
    }

    /// Whether it is known to hold everything that a node within reach holds.
    var isWhole: Bool { slaves.withLock { $0.wholeness.isWhole } }

    /// What it holds from before its epoch.
    var basis: Basis { slaves.withLock { $0.wholeness.basis } }

    /// What it held at the end of a term: all that was said in it, if it was whole, and what it could
    /// not say.
    var finalHolding: Holding {
        slaves.withLock { slaves in
            let said = Basis(epoch: slaves.claim.epoch, sequence: ring.lastClosed)
            let isTold = slaves.losses.areRepaired
            // What its kernel has is later than all that it said, if it could not say all of it.
            let last = isTold ? said : Basis(epoch: said.epoch, sequence: said.sequence + 1)
            guard slaves.wholeness.isWhole else {
                return Holding(
                    basis: slaves.wholeness.basis,
                    latest: last.sequence > 0 ? last : slaves.wholeness.latest, hasMore: true)
            }
            return Holding(basis: said, latest: last, hasMore: !isTold)
        }
    }
}
