// SPDX-License-Identifier: GPL-2.0-or-later

/// What is ours in the output of iptables-save, ip6tables-save, arptables-save or ebtables-save.
struct TablesListing {
    /// A chain of ours.
    struct Chain: Equatable {
        let table: String
        let name: String
        /// How many rules it has.
        var ruleCount = 0
    }

    /// A rule of another chain that jumps to one of ours.
    struct Jump: Equatable {
        let table: String
        let base: String
        let chain: String
    }

    /// Our chains, in the order of the listing.
    private(set) var chains: [Chain] = []
    /// The jumps to them; one that is there twice is here twice.
    private(set) var jumps: [Jump] = []

    /// Picks out the chains whose names are ours.
    init(_ text: String, mine: (String) -> Bool) {
        var table = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard let first = words.first else { continue }
            if first.hasPrefix("*") {
                table = String(first.dropFirst())
            } else if first.hasPrefix(":") {
                let name = String(first.dropFirst())
                if mine(name) { chains.append(Chain(table: table, name: name)) }
            } else if let rule = words.firstIndex(of: "-A"), rule + 1 < words.count {
                let base = words[rule + 1]
                if let index = chains.firstIndex(where: { $0.table == table && $0.name == base }) {
                    chains[index].ruleCount += 1
                } else if let target = words.firstIndex(of: "-j"), target + 1 < words.count,
                    mine(words[target + 1])
                {
                    jumps.append(Jump(table: table, base: base, chain: words[target + 1]))
                }
            }
        }
    }

    /// The commands that take all of it out of a table, for -restore --noflush.
    func removal(from table: String) -> [String] {
        let ours = chains.filter { $0.table == table }.map(\.name)
        return jumps.filter { $0.table == table }.map { "-D \($0.base) -j \($0.chain)" }
            + ours.map { "-F \($0)" } + ours.map { "-X \($0)" }
    }
}
