// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Logs what a master keeps back of a flush: once when it begins to, and what became of it.
struct FlushWatch {
    private var held = FlushHold.Status()

    /// Logs what has begun or ended since the last look.
    mutating func look(_ node: Node, _ now: Instant) {
        let status = node.master.flush.status
        if status.total > held.total, held.count == 0 {
            let left = (max(status.until, now) - now + Duration.second - 1) / Duration.second
            node.log.notice(
                """
                flush held: \(status.total - held.total) entries of \
                \(status.devices.joined(separator: ", ")), until \(left) s from now: the slaves keep \
                them meanwhile
                """)
        }
        held.total = status.total
        if status.count > 0, node.role == .master {
            held.count = status.count
        } else if held.count > 0 {
            let words =
                node.role == .master
                ? "this node is still master: the slaves purge them" : "another node is master"
            node.log.notice("flush over: \(held.count) entries were held; \(words)")
            held.count = 0
        }
    }
}
