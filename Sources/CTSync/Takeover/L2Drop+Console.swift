// SPDX-License-Identifier: GPL-2.0-or-later

/// A drop that is on, whoever put it there.
public struct L2DropStatus: Equatable, Sendable {
    /// The name of its tables or chains: `ct_sync_l2drop`, or with the instance behind it.
    public let name: String
    /// Which backend's rules they are.
    public let backend: L2DropChoice
}

/// `ct_sync l2drop status|off`: the way out for somebody at the console, without a daemon.
extension L2Drop {
    /// The drops of all instances and both backends.
    ///
    /// - Throws: `L2DropError` where nftables or an installed program refuses to list its rules.
    public static func status() throws(L2DropError) -> [L2DropStatus] {
        var found: [L2DropStatus] = []
        for table in try NetdevL2Drop.tables(try console()) {
            let status = L2DropStatus(name: table.name, backend: .netdev)
            if !found.contains(status) { found.append(status) }
        }
        for name in try TablesL2Drop.instances() {
            found.append(L2DropStatus(name: name, backend: .tables))
        }
        return found
    }

    /// Takes the drops of all instances and both backends off. A daemon that runs as a slave puts
    /// its own on again when it starts or is demoted, not before.
    ///
    /// - Throws: `L2DropError` of what could not be removed; the rest has been.
    public static func off() throws(L2DropError) {
        var failure: L2DropError?
        do throws(L2DropError) {
            let nftables = try console()
            let commands = try NetdevL2Drop.tables(nftables).map {
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
        try TablesL2Drop.removeAll()
        if let failure { throw failure }
    }

    private static func console() throws(L2DropError) -> Nftables {
        do throws(NftablesError) {
            return try Nftables()
        } catch {
            throw L2DropError("l2drop: \(error)")
        }
    }
}
