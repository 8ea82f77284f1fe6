// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// What the link's thread is to do.
enum LinkOrder {
    case slave(after: MasterClaim, Holding)
    case slaveAgain
    case master
    case takeOver(from: MasterClaim, at: PeerAddress, LastWords)
    case endTakingOver
    case stop
    case visit(@Sendable (SlaveEngine) -> Void)
    case catchUp

    var endsSlave: Bool {
        switch self {
        case .slave, .slaveAgain, .master, .stop: true
        case .takeOver, .endTakingOver, .visit, .catchUp: false
        }
    }
}

/// The way of an order from the control thread to the link's: one at a time, which the control thread
/// waits for.
final class LinkOrders: Sendable {
    private let wake: WakeUp
    private let done: WakeUp
    private let order = Mutex<LinkOrder?>(nil)

    init() throws(SystemError) {
        wake = try WakeUp()
        done = try WakeUp()
    }

    /// Gives one; returns when it is carried out.
    func give(_ next: LinkOrder) {
        order.withLock { $0 = next }
        wake.signal()
        while ctsync_wait(done.raw, -1, -1) == 0 {}
        done.clear()
    }

    /// What the link's thread polls for POLLIN; then it calls `take`.
    var raw: CInt { wake.raw }

    /// The order that has come, if one has; `end` is to be called when it is carried out.
    func take() -> LinkOrder? {
        guard let next = order.withLock({ $0.take() }) else { return nil }
        wake.clear()
        return next
    }

    /// Lets the control thread go on.
    func end() { done.signal() }
}
