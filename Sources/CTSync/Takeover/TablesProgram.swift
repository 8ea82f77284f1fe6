// SPDX-License-Identifier: GPL-2.0-or-later

/// One of the programs of the old tables: what is asked of it, and what it says.
struct TablesProgram {
    /// The program, with -save and -restore beside it.
    let name: String
    /// The Debian package that it comes from.
    let package: String
    /// Its chains with a hook, and which of our chains each jumps to.
    let jumps: [Jump]
    /// What stands behind the name of a new chain in its -restore format.
    let newChain: String
    /// Whether its -restore can leave other rules alone (--noflush); arptables-restore cannot.
    let canRestore: Bool

    /// A jump from a chain with a hook to one of ours.
    struct Jump: Equatable {
        let table: String
        let base: String
        /// `-i` or `-o`: what our chain goes by.
        let direction: String
    }

    static let iptables = TablesProgram(
        name: "iptables", package: "iptables", jumps: ipJumps, newChain: "- [0:0]",
        canRestore: true)
    static let ip6tables = TablesProgram(
        name: "ip6tables", package: "iptables", jumps: ipJumps, newChain: "- [0:0]",
        canRestore: true)
    static let ebtables = TablesProgram(
        name: "ebtables", package: "ebtables",
        jumps: [
            Jump(table: "filter", base: "INPUT", direction: "-i"),
            Jump(table: "filter", base: "FORWARD", direction: "-i"),
            Jump(table: "filter", base: "FORWARD", direction: "-o"),
            Jump(table: "filter", base: "OUTPUT", direction: "-o"),
        ], newChain: "RETURN", canRestore: true)
    /// Its FORWARD (bridged ARP) is not in the nft variant; ebtables has those frames.
    static let arptables = TablesProgram(
        name: "arptables", package: "arptables",
        jumps: [
            Jump(table: "filter", base: "INPUT", direction: "-i"),
            Jump(table: "filter", base: "OUTPUT", direction: "-o"),
        ], newChain: "-", canRestore: false)

    private static let ipJumps = [
        Jump(table: "raw", base: "PREROUTING", direction: "-i"),
        Jump(table: "raw", base: "OUTPUT", direction: "-o"),
        // What is forwarded, and what a mark or a translation has sent elsewhere since raw OUTPUT.
        Jump(table: "mangle", base: "POSTROUTING", direction: "-o"),
    ]

    /// The name of our chain for a direction.
    static func chain(_ name: String, _ direction: String) -> String {
        name + (direction == "-i" ? "_in" : "_out")
    }

    /// Its tables, each once, in the order of the jumps.
    var tables: [String] {
        jumps.reduce(into: []) { if !$0.contains($1.table) { $0.append($1.table) } }
    }

    /// The directions of our chains that a table jumps to, `-i` first.
    func directions(of table: String) -> [String] {
        ["-i", "-o"].filter { way in
            jumps.contains { $0.table == table && $0.direction == way }
        }
    }

    /// How its -restore is called.
    var restoring: [String] {
        name == "ebtables" ? ["--noflush"] : ["-w", "5", "--noflush"]
    }

    /// Looks for what is run of it.
    ///
    /// - Throws: `L2DropError` that names what is missing, and the package.
    func find() throws(L2DropError) {
        for form in ["-save"] + (canRestore ? ["-restore"] : [""])
        where ChildProcess.find(name + form) == nil {
            throw missing(name + form)
        }
    }

    /// Makes a chain that nothing jumps to, with rules as ours, and takes it away again.
    ///
    /// - Throws: `L2DropError` if the program or the kernel refuses.
    func check(_ chain: String) throws(L2DropError) {
        // What a daemon left that was killed here.
        try remove(try rules { $0 == chain })
        let rules = ["-A \(chain) -i lo -j RETURN", "-A \(chain) -j DROP"]
        if canRestore {
            let lines = [":\(chain) \(newChain)"] + rules + ["COMMIT"]
            let text = tables.map { "*\($0)\n" + lines.joined(separator: "\n") + "\n" }
            try run("\(name)-restore", restoring, text.joined())
        } else {
            for command in ["-N \(chain)"] + rules { try run(command: command) }
        }
        // Not in the same step: ebtables-restore cannot.
        try remove(try self.rules { $0 == chain })
    }

    /// Takes all of a listing out of the tables.
    func remove(_ listing: TablesListing) throws(L2DropError) {
        guard !listing.chains.isEmpty else { return }
        guard canRestore else {
            for command in listing.removal(from: "filter") { try run(command: command) }
            return
        }
        var text = ""
        for table in tables {
            let commands = listing.removal(from: table)
            guard !commands.isEmpty else { continue }
            text += "*\(table)\n" + commands.joined(separator: "\n") + "\nCOMMIT\n"
        }
        try run("\(name)-restore", restoring, text)
    }

    private func run(command: String) throws(L2DropError) {
        try run(name, command.split(separator: " ").map(String.init), "")
    }

    private func missing(_ program: String) -> L2DropError {
        L2DropError(
            "l2drop-backend tables needs \(program), which is not installed: "
                + "install the package \(package)")
    }

    /// What -save says of chains of ours.
    func rules(mine: (String) -> Bool) throws(L2DropError) -> TablesListing {
        TablesListing(try run("\(name)-save", [], ""), mine: mine)
    }

    /// Runs one of the program's names to its end.
    ///
    /// - Throws: `L2DropError` with the package if it is missing, with its words if it fails.
    @discardableResult
    func run(
        _ program: String, _ arguments: [String], _ input: String
    ) throws(L2DropError) -> String {
        guard let path = ChildProcess.find(program) else { throw missing(program) }
        let outcome: ChildProcess.Outcome
        do throws(SystemError) {
            outcome = try ChildProcess.run(path, arguments, input: input)
        } catch {
            throw L2DropError("l2drop: \(program) (package \(package)) cannot be run: \(error)")
        }
        guard outcome.status == 0 else {
            let words = outcome.output.split(separator: "\n").joined(separator: "; ")
            throw L2DropError(
                "l2drop: \(program) (package \(package)) failed with status \(outcome.status): "
                    + words)
        }
        return outcome.output
    }
}
