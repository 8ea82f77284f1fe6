// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Which of a node's addresses stay with it when another is promoted, and as slave, which connections
/// are translated to such an address of the master's: they would not survive a takeover.
///
/// `masquerade` takes the address of the outside device itself, not the one beside it that a cluster
/// manager moves. An address is the node's own, and stays, if it had it for some seconds as slave; what
/// it gets for a promotion moves. A slave that has the master's address too, as with l2drop, loses
/// nothing.
struct AddressCheck {
    /// An address seen so often in a row as slave stays: what a manager adds before it promotes is seen
    /// once at most.
    private static let looks = 3
    /// How often a slave counts: it looks at every replica.
    private static let intervals = (stranded: 2 * Duration.second, other: 10 * Duration.second)

    private var seen: [HostAddress: Int] = [:]
    private var due: Instant = 0
    /// What would be lost.
    private(set) var stranded: [Stranded] = []
    private var told: Set<HostAddress> = []

    /// Takes the node's addresses, once a second.
    ///
    /// - Returns: those that stay, in an order that does not change.
    mutating func look(_ own: [HostAddress], isSlave: Bool) -> [HostAddress] {
        var next: [HostAddress: Int] = [:]
        for address in own where !address.isLinkLocal && !address.isLoopback {
            let before = seen[address, default: 0]
            next[address] =
                isSlave ? min(before + 1, Self.looks) : before >= Self.looks ? before : 0
        }
        seen = next
        return seen.filter { $0.value >= Self.looks }.keys.sorted { "\($0)" < "\($1)" }
    }

    /// As slave, counts what would be lost, if it is time.
    ///
    /// - Parameter count: counts replicas by address.
    mutating func count(
        _ master: [HostAddress], own: [HostAddress], now: Instant, _ log: Logger,
        _ count: ([HostAddress]) -> [Stranded]
    ) {
        guard now >= due else { return }
        let lacking = master.filter { !own.contains($0) }
        stranded = lacking.isEmpty ? [] : count(lacking)
        due = now + (stranded.isEmpty ? Self.intervals.other : Self.intervals.stranded)
        for each in stranded where told.insert(each.address).inserted {
            log.warning(
                """
                \(each.count) entries are translated to \(each.address), which is the master's own and \
                does not move: they would not survive a takeover; translate them to an address that \
                moves (snat to it, not masquerade), or give both nodes the same addresses (l2drop=1)
                """)
        }
        if stranded.isEmpty { told = [] }
    }

    /// For a node that is no slave.
    mutating func reset() {
        stranded = []
        told = []
        due = 0
    }
}

extension HostAddress {
    /// 127.0.0.0/8 or ::1.
    var isLoopback: Bool {
        switch family {
        case .ipv4: address.low >> 24 == 127
        case .ipv6: address == Address(high: 0, low: 1)
        }
    }
}
