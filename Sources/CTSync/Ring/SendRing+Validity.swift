// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

extension SendRing {
    /// Checks that numbers and lengths agree. For tests, while no other thread uses it.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        state.withLock { state in
            let (closed, sent) = (lastClosed, lastSent)
            if closed + 1 != state.open { report("open is \(state.open) after \(closed)") }
            if sent > closed { report("\(sent) is sent, \(closed) is closed") }
            if closed - min(sent, closed) > UInt64(slotCount) { report("a slot is unsent twice") }
            if oldestWanted > state.open { report("\(oldestWanted) is wanted, none is there") }
            if !(PacketHeader.byteCount...slotByteCount).contains(state.length) {
                report("the open packet has \(state.length) bytes")
            }
            if (state.messageCount > 0) != (state.length > PacketHeader.byteCount) {
                report("\(state.messageCount) messages have \(state.length) bytes")
            }
            open.assertValid(state.length, report)
        }
    }
}
