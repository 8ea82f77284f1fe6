// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Tells a flush of masqueraded connections from their end, and keeps it from the slaves.
///
/// When an address is removed or its device goes down, the kernel deletes every connection that is
/// masqueraded to it. The node may be about to lose its part as master, and the connections would live
/// on at the next one. So such deletions are not told; if the node is still master after the grace,
/// a walk of its table purges them.
///
/// A deletion is one of a flush if nobody asked for it (netlink port 0), it came before the entry's
/// time (it says how much was left), and the replies went to an address that the node has lost: the
/// kernel queues the message of that before it deletes anything. What is kept back wrongly, as a
/// connection that was reopened, stays with the slaves for the grace and does no harm.
///
/// 1. `opens`: addresses were lost; from now to the end of the grace deletions are looked at.
/// 2. `holds`: a deletion is kept back. Until the end of the grace walks purge nothing.
/// 3. `isOver`: the grace has passed; a walk is wanted.
///
/// The event listener's thread opens, holds and ends; the walk's and the status read.
final class FlushHold: Sendable {
    /// How it is, for the status.
    struct Status: Equatable, Sendable {
        /// Deletions kept back since the addresses were lost; 0 when nothing is held.
        var count: UInt64 = 0
        /// The devices whose addresses they had.
        var devices: [String] = []
        /// When the slaves are told, if the node is still master.
        var until: Instant = 0
        /// Deletions kept back since the start.
        var total: UInt64 = 0
    }

    private struct State {
        var lost: [AddressLoss] = []
        var hasSpared = false
        var status = Status()
    }

    /// More addresses than these are not told apart: any masqueraded one may be lost.
    private static let limit = 256

    private let state = Mutex(State())
    /// When the grace ends; 0 while none runs. For the path of every event.
    private let deadline = Atomic<UInt64>(0)
    private let grace: UInt64

    /// - Parameter graceSeconds: 0 for telling every deletion at once.
    init(graceSeconds: UInt32) {
        grace = UInt64(graceSeconds) * Duration.second
    }

    var isEnabled: Bool { grace > 0 }

    /// When `isOver` has something to say; nil while no grace runs.
    var due: Instant? {
        let due = deadline.load(ordering: .relaxed)
        return due == 0 ? nil : due
    }

    /// Checks that nothing is kept back longer than the grace. For tests, while no other thread uses it.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        guard !isOpen else { return }
        state.withLock { state in
            if !state.lost.isEmpty { report("addresses are lost, and no grace runs") }
            if state.status.count > 0 { report("deletions are kept back, and no grace runs") }
        }
    }

    /// Whether deletions are looked at.
    @inline(__always)
    var isOpen: Bool { deadline.load(ordering: .relaxed) != 0 }

    /// Whether the end of a walk is to purge nothing, as the slaves hold what was kept back.
    func spares() -> Bool {
        guard isOpen else { return false }
        state.withLock { $0.hasSpared = true }
        return true
    }

    var status: Status { state.withLock { $0.status } }

    /// Whether a deletion may be one of a flush, before it is known what was lost.
    @inline(__always)
    static func isCandidate(_ entry: borrowing Entry, causedBy port: UInt32) -> Bool {
        guard port == 0, entry.fields.contains(.timeout) else { return false }
        return entry.reply.destination != entry.key.tuple.source
    }

    /// Records a lost address.
    func opens(_ loss: AddressLoss, now: Instant) {
        guard isEnabled else { return }
        state.withLock { state in
            state.status.until = now + grace
            if state.lost.count < Self.limit, !state.lost.contains(loss) { state.lost.append(loss) }
        }
        deadline.store(now + grace, ordering: .relaxed)
    }

    /// Whether a candidate is of a flush, and is kept back.
    func holds(_ entry: borrowing Entry) -> Bool {
        let (address, family) = (entry.reply.destination, entry.key.tuple.family)
        return state.withLock { state in
            let device: String
            if let loss = state.lost.first(where: { $0.address == address && $0.family == family })
            {
                device = loss.device
            } else {
                guard state.lost.count == Self.limit else { return false }
                device = "other devices"
            }
            state.status.count += 1
            state.status.total += 1
            if !state.status.devices.contains(device) { state.status.devices.append(device) }
            return true
        }
    }

    /// Ends the grace when its time has come.
    ///
    /// - Returns: whether a walk is wanted: something was kept back, or was not purged.
    func isOver(now: Instant) -> Bool {
        guard let due, now >= due else { return false }
        deadline.store(0, ordering: .relaxed)
        return state.withLock { state in
            defer { state = State(status: Status(total: state.status.total)) }
            return state.status.count > 0 || state.hasSpared
        }
    }
}
