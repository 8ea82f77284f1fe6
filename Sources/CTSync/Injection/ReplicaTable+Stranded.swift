// SPDX-License-Identifier: GPL-2.0-or-later

/// Connections that a takeover would strand: they are translated to an address that stays where it is.
struct Stranded: Equatable, Sendable {
    var address: HostAddress
    var count: Int
}

extension ReplicaTable {
    /// How many replicas are translated to each of some addresses; looks at all of them.
    func translated(to addresses: [HostAddress]) -> [Stranded] {
        var counts = addresses.map { Stranded(address: $0, count: 0) }
        forEachAlive { place, replica in
            let address = book.pool.reply(place).destination
            guard address != replica.key.tuple.source else { return }
            for index in counts.indices
            where counts[index].address.address == address
                && counts[index].address.family == replica.key.tuple.family
            {
                counts[index].count += 1
            }
        }
        return counts.filter { $0.count > 0 }
    }
}
