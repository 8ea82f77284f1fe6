// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The drop by arptables, ebtables, iptables and ip6tables, for kernels without egress hooks.
///
/// Two chains of our own in each table (`<name>_in`, `<name>_out`) return what belongs to an open
/// device and drop the rest; the chains with hooks jump there first. So a device that appears later
/// is dark from its first packet on. Each -restore --noflush changes one program's tables at once;
/// arptables has no such form, there the jump comes last and goes first.
///
/// What it cannot cover: frames that are neither ARP nor IP on a device that is in no bridge (LLDP,
/// PPPoE, EAPOL, a VLAN's tag alone), and what a program sends through a packet socket. Empty tables
/// raw and mangle stay behind in the nft variants where there were none.
struct TablesL2Drop: L2DropBackend {
    /// What our chains' names begin with.
    private let name: String
    private let programs: [TablesProgram]
    /// The end of the name of a chain that is there only while the programs are tried.
    private static let trial = "_try"

    let choice = L2DropChoice.tables

    /// Looks for the programs and tries each on a chain without effect, so that a node learns at
    /// the start, not in its first demotion, that it could not be made dark.
    ///
    /// - Throws: `L2DropError` that names what is missing or refused, and its Debian package.
    init(name: String) throws(L2DropError) {
        self.name = name
        programs = Self.needed
        try Self.withAll(programs) { (program) throws(L2DropError) in try program.find() }
        try Self.withAll(programs) { (program) throws(L2DropError) in
            try program.check(name + Self.trial)
        }
    }

    /// The programs that this kernel's protocols ask for: first those of IP, which are done in one step. After
    /// a flush arptables alone, whose steps are some twenty, takes longer than all others.
    private static var needed: [TablesProgram] {
        let hasIPv6 = access("/proc/sys/net/ipv6", F_OK) == 0
        return [.iptables] + (hasIPv6 ? [.ip6tables] : []) + [.ebtables, .arptables]
    }

    private func isMine(_ chain: String) -> Bool {
        ["-i", "-o"].contains { TablesProgram.chain(name, $0) == chain }
    }

    func isWhole(_ plan: DarkPlan) throws(L2DropError) -> Bool {
        for program in programs {
            // One rule for each open device, and the last one drops.
            let ruleCount = Self.open(plan, program).count + 1
            let listing = try program.rules(mine: isMine)
            for jump in program.jumps {
                let chain = TablesProgram.chain(name, jump.direction)
                let wanted = TablesListing.Jump(
                    table: jump.table, base: jump.base, chain: chain)
                let isFilled = listing.chains.contains {
                    $0.table == jump.table && $0.name == chain && $0.ruleCount == ruleCount
                }
                guard isFilled, listing.jumps.contains(wanted) else { return false }
            }
        }
        return true
    }

    /// The dark devices are in no rule.
    func hasSameRules(_ plan: DarkPlan, _ other: DarkPlan) -> Bool {
        plan.open == other.open && plan.carriers.map(\.name) == other.carriers.map(\.name)
    }

    func raise(_ plan: DarkPlan) throws(L2DropError) {
        for device in plan.open where !Self.canWrite(device) {
            throw L2DropError("l2drop-backend tables cannot write the device name \(device)")
        }
        // What can be put on is, even if one program refuses.
        try Self.withAll(programs) { (program) throws(L2DropError) in
            let listing = try program.rules(mine: isMine)
            let open = Self.open(plan, program)
            if program.canRestore {
                try program.run(
                    "\(program.name)-restore", program.restoring,
                    replacement(program, listing, open))
            } else {
                try replaceInSteps(program, listing, open)
            }
        }
    }

    /// The devices that a program lets through: a bridge's frames are told by the port that they pass.
    private static func open(_ plan: DarkPlan, _ program: TablesProgram) -> [String] {
        program.name == "ebtables" ? plan.open + plan.carriers.map(\.name) : plan.open
    }

    /// A rule in front of each chain of ours. Taking rules away costs each program 20 ms, in which
    /// the kernel waits until nobody reads them; adding one costs 5.
    ///
    /// The other way round than they are closed: a packet that comes in before ARP, or what the node itself
    /// sends, is open has the kernel ask for a neighbour in vain, and it asks again after a second only
    /// (`retrans_time_ms`).
    func open(isFreeing: Bool) throws(L2DropError) {
        for program in programs.reversed() {
            var text = ""
            for table in program.tables.reversed() {
                text += "*\(table)\n"
                for way in program.directions(of: table).reversed() {
                    let chain = TablesProgram.chain(name, way)
                    if program.canRestore {
                        text += "-I \(chain) 1 -j RETURN\n"
                    } else {
                        try program.run(program.name, ["-I", chain, "1", "-j", "RETURN"], "")
                    }
                }
                text += "COMMIT\n"
            }
            if program.canRestore {
                try program.run("\(program.name)-restore", program.restoring, text)
            }
        }
    }

    func lift() throws(L2DropError) {
        try Self.withAll(programs) { (program) throws(L2DropError) in
            try program.remove(try program.rules(mine: isMine))
        }
    }

    /// Takes away the chains of some instances, with the programs that are installed.
    static func remove(named isWanted: (String) -> Bool) throws(L2DropError) {
        try withAll(needed) { (program) throws(L2DropError) in
            guard ChildProcess.find("\(program.name)-save") != nil else { return }
            try program.remove(
                try program.rules { $0.hasPrefix(L2Drop.prefix) && isWanted(instance($0)) })
        }
    }

    /// The names of the instances whose chains are there.
    static func instances() throws(L2DropError) -> [String] {
        var names: [String] = []
        for program in needed where ChildProcess.find("\(program.name)-save") != nil {
            for chain in try program.rules(mine: { $0.hasPrefix(L2Drop.prefix) }).chains {
                guard !chain.name.hasSuffix(trial) else { continue }
                let name = instance(chain.name)
                if !names.contains(name) { names.append(name) }
            }
        }
        return names
    }

    /// The name of the instance to which a chain belongs.
    private static func instance(_ chain: String) -> String {
        for end in ["_in", "_out", trial] where chain.hasSuffix(end) {
            return String(chain.dropLast(end.utf8.count))
        }
        return chain
    }

    /// Text for -restore --noflush: the chains new, the jumps in front, in one step.
    private func replacement(
        _ program: TablesProgram, _ listing: TablesListing, _ open: [String]
    ) -> String {
        var text = ""
        for table in program.tables {
            let jumps = program.jumps.filter { $0.table == table }
            let directions = program.directions(of: table)
            text += "*\(table)\n"
            for way in directions {
                text += ":\(TablesProgram.chain(name, way)) \(program.newChain)\n"
            }
            for way in directions {
                let chain = TablesProgram.chain(name, way)
                text += "-F \(chain)\n"
                for device in open { text += "-A \(chain) \(way) \(device) -j RETURN\n" }
                text += "-A \(chain) -j DROP\n"
            }
            for old in listing.jumps where old.table == table {
                text += "-D \(old.base) -j \(old.chain)\n"
            }
            for jump in jumps {
                text += "-I \(jump.base) 1 -j \(TablesProgram.chain(name, jump.direction))\n"
            }
            text += "COMMIT\n"
        }
        return text
    }

    /// The same a command at a time; in between more is dropped than need be, never less.
    private func replaceInSteps(
        _ program: TablesProgram, _ listing: TablesListing, _ open: [String]
    ) throws(L2DropError) {
        for jump in program.jumps {
            let chain = TablesProgram.chain(name, jump.direction)
            let old = listing.chains.first { $0.name == chain }
            if old == nil { try program.run(program.name, ["-N", chain], "") }
            try program.run(program.name, ["-I", chain, "1", "-j", "DROP"], "")
            for _ in 0..<(old?.ruleCount ?? 0) {
                try program.run(program.name, ["-D", chain, "2"], "")
            }
            for device in open {
                try program.run(
                    program.name, ["-A", chain, jump.direction, device, "-j", "RETURN"], "")
            }
            try program.run(program.name, ["-A", chain, "-j", "DROP"], "")
            try program.run(program.name, ["-I", jump.base, "1", "-j", chain], "")
            for old in listing.jumps where old.chain == chain {
                try program.run(program.name, ["-D", old.base, "-j", old.chain], "")
            }
            try program.run(program.name, ["-D", chain, "1"], "")
        }
    }

    /// Does something with each program, even if it has failed with another.
    ///
    /// - Throws: all failures, in one sentence.
    private static func withAll(
        _ programs: [TablesProgram], _ body: (TablesProgram) throws(L2DropError) -> Void
    ) throws(L2DropError) {
        var failures: [String] = []
        for program in programs {
            do throws(L2DropError) {
                try body(program)
            } catch {
                failures.append(error.description)
            }
        }
        if !failures.isEmpty { throw L2DropError(failures.joined(separator: "; ")) }
    }

    /// Whether the programs take a name as it stands: no wildcard, no option, one word.
    private static func canWrite(_ name: String) -> Bool {
        NetdevRuleset.canWrite(name) && !name.hasSuffix("+") && !name.hasPrefix("-")
            && !name.hasPrefix("!")
    }
}
