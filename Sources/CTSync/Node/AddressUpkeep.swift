// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Looks at the node's addresses once a second: which of them stay here the slaves are told; whether one
/// went, and which connections hang on an address of the master's, a slave is to know.
///
/// Thread: control.
struct AddressUpkeep {
    private static let interval = 1 * Duration.second

    private var check = AddressCheck()
    private var own: [HostAddress] = []
    private var lookedAt: Instant = 0

    /// As slave, what would be lost in a takeover.
    var stranded: [Stranded] { check.stranded }

    /// Looks, if it is time.
    mutating func look(_ node: Node, now: Instant) {
        guard now >= lookedAt + Self.interval else { return }
        lookedAt = now
        let before = own
        do throws(SystemError) {
            own = try InterfaceAddress.hosts(except: node.configuration.syncdevs)
        } catch {
            return node.log.warning("the node's addresses cannot be read: \(error)")
        }
        let link = node.link
        if node.role == .slave, !before.allSatisfy(own.contains) {
            // The kernel flushes what this node masqueraded to it, if it was master before.
            link.visit { $0.slave.requireCheck() }
        }
        let fixed = check.look(own, isSlave: node.role == .slave)
        node.master.sender.setAddresses(fixed)
        guard node.role == .slave else { return check.reset() }
        check.count(link.status.announced.addresses, own: own, now: now, node.log) { list in
            link.visit { $0.table.translated(to: list) }
        }
    }
}
