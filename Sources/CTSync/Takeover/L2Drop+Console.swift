// SPDX-License-Identifier: GPL-2.0-or-later

internal import Glibc

/// A drop that is on, whoever put it there.
package struct L2DropStatus: Equatable, Sendable {
    /// The name of its tables or chains: `ct_sync_l2drop`, or with the instance behind it.
    package let name: String
    /// Which backend's rules they are.
    package let backend: L2DropChoice
}

/// `ct_sync l2drop status|off`: the way out for somebody at the console, without a daemon.
extension L2Drop {
    /// The drops of all instances and both backends; not tables that do nothing since a takeover.
    ///
    /// - Throws: `L2DropError` if nftables or an installed program refuses to list its rules.
    package static func status() throws(L2DropError) -> [L2DropStatus] {
        var found: [L2DropStatus] = []
        let nftables = try console()
        for table in try NetdevL2Drop.tables(nftables)
        where !NetdevL2Drop.isResting(table.family, table.name, nftables) {
            let status = L2DropStatus(name: table.name, backend: .netdev)
            if !found.contains(status) { found.append(status) }
        }
        for name in try TablesL2Drop.instances() {
            found.append(L2DropStatus(name: name, backend: .tables))
        }
        return found
    }

    /// How long `off` tries, and looks at the end whether they stay off: some renewals by a daemon
    /// that had not yet seen the mark.
    private static let (offPatience, offWatch) = (3 * Duration.second, 400 * Duration.millisecond)

    /// Takes the drops of all instances and both backends off, and sees that they stay off. A daemon
    /// that runs as a slave puts its own on again when it starts or is demoted, not before.
    ///
    /// - Throws: `L2DropError` of what could not be removed; the rest has been.
    package static func off() throws(L2DropError) {
        let end = Clock.now() + offPatience
        var failure = attempt { () throws(L2DropError) in try L2DropOffMark.set(try console()) }
        var removedAt = Clock.now()
        while true {
            let removal = attempt { () throws(L2DropError) in
                var found: [L2DropStatus]?
                // What cannot be listed is removed as far as it can be, and says why.
                _ = attempt { () throws(L2DropError) in found = try status() }
                if let found, found.isEmpty { return }
                removedAt = Clock.now()
                try remove { $0.hasPrefix(prefix) }
                let nftables = try console()
                if !L2DropOffMark.isSet(nftables) { try L2DropOffMark.set(nftables) }
            }
            let now = Clock.now()
            if removal == nil, now >= removedAt + offWatch { break }
            if now >= end {
                failure = removal ?? L2DropError("l2drop: it is put on again all the time")
                break
            }
            usleep(50_000)
        }
        if let failure { throw failure }
    }

    private static func attempt(_ body: () throws(L2DropError) -> Void) -> L2DropError? {
        do throws(L2DropError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    /// Takes the drops of some instances off, for good where no daemon has them.
    ///
    /// - Throws: `L2DropError` of what could not be removed; the rest has been.
    static func remove(named isWanted: (String) -> Bool) throws(L2DropError) {
        var failure: L2DropError?
        do throws(L2DropError) {
            let nftables = try console()
            let commands = try NetdevL2Drop.tables(nftables, named: isWanted).map {
                "delete table \($0.family) \($0.name)\n"
            }.joined()
            if !commands.isEmpty {
                do throws(NftablesError) {
                    _ = try nftables.run(commands)
                } catch {
                    throw L2DropError("l2drop: nftables refuses: \(error.message)")
                }
            }
        } catch {
            failure = error
        }
        try TablesL2Drop.remove(named: isWanted)
        if let failure { throw failure }
    }

    /// Nftables, for commands without a daemon.
    static func console() throws(L2DropError) -> Nftables {
        do throws(NftablesError) {
            return try Nftables()
        } catch {
            throw L2DropError("l2drop: \(error)")
        }
    }
}
