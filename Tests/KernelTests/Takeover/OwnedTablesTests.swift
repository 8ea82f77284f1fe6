// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Tables that are kept from others, and kernels that cannot.
@Suite(.serialized) struct OwnedTablesTests {
    /// What no kernel has: this one refuses it as one before Linux 6.3 refuses the true numbers.
    private static let unknown = OwnedTables.Numbers(destroyTable: 250, persist: 1 << 8)

    /// A netdev drop on such a kernel.
    private func drop(_ hosts: TwoHosts) throws -> L2Drop {
        try hosts.inNode {
            let backend = try NetdevL2Drop(table: L2Drop.prefix, numbers: Self.unknown)
            return try L2Drop(named: L2Drop.prefix, leaving: ["sync"], by: backend)
        }
    }

    /// The kernel answers for each table, and what it said to one question is no answer to the next.
    @Test func whatWasRefusedIsGrantedLater() throws {
        let hosts = try TwoHosts()
        try hosts.inNode {
            let (one, other) = (try Self.tables(), try Self.tables())
            try one.make()
            try one.take()
            #expect(throws: SystemError("nftables tables", errno: EPERM)) { try other.take() }
            one.release()
            try Self.takeAtLast(other)
            #expect(throws: SystemError("nftables tables", errno: EPERM)) { try one.take() }
            try other.destroy()
        }
        #expect(try hosts.inNode { try NetdevL2Drop.tables(Nftables()) }.isEmpty)
    }

    /// Takes them, as soon as their last owner is closed: a program that another test begins has a copy of its
    /// socket until it runs.
    private static func takeAtLast(_ tables: OwnedTables) throws {
        let deadline = Clock.now() + 10 * Duration.second
        while true {
            do throws(SystemError) {
                return try tables.take()
            } catch {
                guard error.errno == EPERM, Clock.now() < deadline else { throw error }
            }
        }
    }

    private static func tables() throws -> OwnedTables {
        try OwnedTables(L2Drop.prefix, families: NetdevRuleset.families)
    }

    /// Others flush all rules all the time: whenever it says that it is dark, it is.
    @Test func aFlushWhileItIsMadeIsNoticed() throws {
        let hosts = try TwoHosts()
        let drop = try hosts.inNode { try L2Drop(syncdev: "sync") }
        let probe = try hosts.inNode { try Probe() }
        let child = try hosts.inNode { try Flushes() }
        defer { child.end() }
        for _ in 0..<40 {
            try hosts.inNode {
                try drop.raise()
                #expect(!probe.passes())
                #expect(try drop.isWhole())
                try drop.lift()
            }
        }
    }

    /// The rules that a takeover has left are flushed, and the next demotion comes before anybody has told.
    @Test func rulesThatRestAreFlushed() throws {
        let hosts = try TwoHosts()
        let drop = try hosts.inNode { try L2Drop(syncdev: "sync") }
        let probe = try hosts.inNode { try Probe() }
        try hosts.inNode {
            try drop.raise()
            #expect(!probe.passes())
            try drop.open()
            #expect(probe.passes())
            _ = try Nftables().run("flush ruleset")
            try drop.raise()
            #expect(!probe.passes())
            #expect(try drop.isWhole())
        }
    }

    /// A program that flushes all rules of the calling thread's namespace, again and again.
    private final class Flushes {
        private let pid: pid_t

        init() throws {
            let words = ["sh", "-c", "while true; do nft flush ruleset; done"]
            var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
            arguments.append(nil)
            defer { for argument in arguments { free(argument) } }
            var pid = pid_t()
            let result = posix_spawnp(&pid, words[0], nil, nil, arguments, environ)
            guard result == 0 else { throw SystemError("posix_spawnp", errno: result) }
            self.pid = pid
        }

        func end() {
            kill(pid, SIGKILL)
            var status: CInt = 0
            waitpid(pid, &status, 0)
        }
    }

    /// It is dark, seen and dark again as often as its role changes.
    @Test func withoutThemTheDropIsMadeAgainAndAgain() throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts)
        let capture = try #require(try hosts.captures(["w0"]).first)
        for round in 1...300 {
            try hosts.inNode { try drop.raise() }
            #expect(try hosts.inNode { try drop.isWhole() })
            guard round % 100 == 0 else { continue }
            _ = try capture.take()
            try hosts.talk(seconds: 1)
            #expect(try capture.take().isEmpty)
            try hosts.inNode { try drop.open() }
            #expect(try hosts.inNode { try NetdevL2Drop.tables(Nftables()) }.isEmpty)
            try hosts.talk(seconds: 1)
            #expect(try !capture.take().isEmpty)
        }
    }

    /// As with the backend `tables`, a reload opens the node for the time of a few programs, however slow the
    /// machine is.
    @Test func withoutThemAFlushOpensForAFewProgramsTime() throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts)
        try hosts.inNode { try drop.raise() }
        let probe = try hosts.inNode { try Probe() }
        // Each flush beside a program, as what else the machine does changes from one to the next.
        let ratios = try (0..<9).map { _ in
            let began = Clock.now()
            try hosts.inNode { try NetworkNamespace.shell("nft list tables > /dev/null") }
            let program = Clock.now() - began
            return Double(try hosts.inNode { try Self.gap(drop, probe) }) / Double(program)
        }
        print("open for \(ratios) times a program")
        #expect(ratios.sorted()[4] < 10)
    }

    /// Flushes all rules and does what the daemon does until the node is dark again; how long that took.
    private static func gap(_ drop: L2Drop, _ probe: Probe) throws -> UInt64 {
        while ctsync_wait(drop.events, -1, 0) == 1 { _ = try drop.eventsArrived() }
        try #require(!probe.passes())
        let console = try Nftables()
        let began = Clock.now()
        _ = try console.run("flush ruleset")
        #expect(probe.passes(), "the flush touches it")
        while probe.passes() {
            try #require(ctsync_wait(drop.events, -1, 5_000_000_000) == 1)
            _ = try drop.eventsArrived()
        }
        return Clock.now() - began
    }

    /// Sends to the neighbour.
    private final class Probe {
        private let socket: Descriptor

        init() throws {
            socket = try Descriptor("socket") {
                Glibc.socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
            }
        }

        /// Whether the rules let it.
        func passes() -> Bool {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(9).bigEndian
            address.sin_addr.s_addr = UInt32(0x0A01_0002).bigEndian
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(socket.raw, [0], 1, 0, $0, size) == 1
                }
            }
        }
    }
}
