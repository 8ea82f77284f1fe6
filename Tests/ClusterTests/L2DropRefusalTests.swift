// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// A node whose programs for `--l2drop-backend tables` are missing or refuse.
    ///
    /// The programs are links into /etc/alternatives. `ip netns exec` gives its program a mount
    /// namespace, so a doctored copy of that directory over it changes them for one daemon alone.
    @Suite struct L2DropRefusalTests {
        private static let packages = [
            "arptables": "arptables", "ebtables": "ebtables", "iptables": "iptables",
            "ip6tables": "iptables",
        ]
        private static let refusing = "echo 'not by me' >&2; exit 1"

        /// Each missing program is named with its package; the node is as it was.
        @Test func missingProgramsAreNamed() throws {
            try onVisibleNode { node, stays in
                for form in [
                    "arptables", "arptables-save", "ebtables-save", "ebtables-restore",
                    "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore",
                ] {
                    for role in form == "arptables" ? [NodeRole.slave, .master] : [.slave] {
                        let result = try run(node, role, [form: nil])
                        #expect(result.status == 78, "\(form): \(result)")
                        #expect(result.errors.split(separator: "\n").count == 1)
                        #expect(result.errors.contains(" needs \(form), which is not installed"))
                        #expect(result.errors.contains("install the package \(package(form))"))
                        try stays(form)
                    }
                }
                let result = try run(node, .slave, ["arptables": nil, "ebtables-save": nil])
                #expect(result.errors.contains("needs arptables,"), "all are named")
                #expect(result.errors.contains("needs ebtables-save,"), "all are named")
            }
        }

        /// So is each that fails, whatever the role: at the start, not in the first demotion.
        @Test func refusingProgramsAreNamed() throws {
            try onVisibleNode { node, stays in
                for form in [
                    "arptables", "arptables-save", "ebtables-save", "ebtables-restore",
                    "iptables-restore", "ip6tables-restore",
                ] {
                    for role in [NodeRole.slave, .master] {
                        let result = try run(node, role, [form: Self.refusing])
                        #expect(result.status == 78, "\(form): \(result)")
                        #expect(
                            result.errors.contains("\(form) (package \(package(form))) failed"))
                        #expect(result.errors.contains("not by me"), "\(result.errors)")
                        try stays(form)
                    }
                }
            }
        }

        /// One that fails when half of the drop is on already: all of it goes again.
        @Test func noNodeIsLeftHalfDark() throws {
            try onVisibleNode { node, stays in
                for (form, stub) in [
                    ("arptables", Self.late("arptables")),
                    ("ebtables-restore", Self.late("ebtables-restore")),
                    ("ip6tables-restore", Self.late("ip6tables-restore")),
                ] {
                    let result = try run(node, .slave, [form: stub])
                    #expect(result.status == 71, "\(form): \(result)")
                    #expect(result.errors.contains("cannot be made dark"), "\(result.errors)")
                    #expect(result.errors.contains("\(form) (package \(package(form))) failed"))
                    try stays(form)
                }
            }
        }

        /// What a killed slave has left stays, whatever the next daemon meets.
        @Test func aDarkNodeStaysDark() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"])
                node.kill()
                let echo = try echoes(cluster)
                defer { echo.stop() }
                let rules = try Self.rules(node)
                for stub in [nil, Self.refusing, Self.late("ebtables-restore")] {
                    let result = try run(node, .slave, ["ebtables-restore": stub])
                    #expect(result.status == 78, "\(result)")
                    #expect(result.errors.contains("ebtables-restore"), "\(result.errors)")
                    #expect(try Self.rules(node) == rules)
                }
                // Taken over, and refused only in the next step.
                let stub = Self.late("ebtables-restore", passing: "\(cluster.directory)/passed")
                let result = try run(node, .slave, ["ebtables-restore": stub])
                #expect(result.status == 71, "\(result)")
                let lines = rules.split(separator: "\n").filter { $0.contains("l2drop") }
                #expect(lines.count > 15)
                #expect(
                    try Self.rules(node).split(separator: "\n").filter { $0.contains("l2drop") }
                        == lines)
                pause(0.2)
                #expect(echo.gaps.count == 0)
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"])
                #expect(try Self.rules(node) == rules)
                try node.write("1\n")
                try node.waitForRole(.master)
                try echo.expectReplies()
            }
        }

        /// A node with rules of other people's in every table; gives a check that nothing of it has
        /// changed and that it is visible.
        private func onVisibleNode(
            _ body: (Firewall, (String) throws -> Void) throws -> Void
        ) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                for words in [
                    "arptables -A INPUT -i other0 -j DROP", "arptables -A OUTPUT -j ACCEPT",
                    "ebtables -A FORWARD -i other0 -j DROP",
                    "iptables -t raw -A PREROUTING -i other0 -j DROP",
                    "iptables -t mangle -A POSTROUTING -j ACCEPT",
                    "ip6tables -t raw -A PREROUTING -i other0 -j DROP",
                    "ip6tables -t mangle -A POSTROUTING -j ACCEPT",
                ] {
                    try node.host.run(words.split(separator: " ").map { String($0) })
                }
                let echo = try echoes(cluster)
                defer { echo.stop() }
                // Control: with the programs as they are it starts, and the node is dark.
                try node.start(role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"])
                #expect(try Self.rules(node).contains("ct_sync_l2drop"))
                let count = echo.gaps.count
                pause(0.2)
                #expect(echo.gaps.count == count, "the control is dark")
                #expect(try node.stop() == 0)
                try node.host.run([try Daemon.binary(), "l2drop", "off"])
                // Its mark, which a start takes away, whether it succeeds or not.
                try node.host.run(["nft", "delete", "table", "netdev", "ct_sync_l2off"])
                // With the empty tables that stay behind.
                let rules = try Self.rules(node)
                #expect(!rules.contains("ct_sync_l2drop"))
                #expect(rules.contains("other0"))

                try body(node) { form in
                    #expect(try Self.rules(node) == rules, "\(form)")
                    for path in [node.controlFile, node.controlFile + ".sock"] {
                        #expect(!FileManager.default.fileExists(atPath: path), "\(form): \(path)")
                    }
                    try echo.expectReplies(2)
                }
            }
        }

        /// All rules and chains of a node, without their counters.
        private static func rules(_ node: Firewall) throws -> String {
            try node.host.run(["nft", "--stateless", "list", "ruleset"])
        }

        /// After a flush IP is dark again before the many steps of arptables are done.
        @Test func aSlowProgramLeavesNoOtherOpen() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let slow = "sleep 0.15; exec /usr/sbin/arptables-nft \"$@\""
                let prefix = try alternatives(node, ["arptables": slow])
                defer { removeAlternatives(node) }
                try node.start(
                    role: .slave, ["--l2drop", "1", "--l2drop-backend", "tables"], through: prefix)
                try node.host.nft("flush ruleset")
                try eventually("IP is dark", every: 0) {
                    try node.host.run(["iptables-save", "-t", "mangle"]).contains("-j DROP")
                }
                let rules = try node.host.run(["arptables-save"])
                #expect(!rules.contains("-A OUTPUT"), "arptables came before IP: \(rules)")
                try eventually("all of it is", within: 20) {
                    try node.host.run(["arptables-save"]).contains("-A OUTPUT")
                }
            }
        }

        private func package(_ form: String) -> String {
            Self.packages[String(form.split(separator: "-")[0])] ?? ""
        }

        /// A program that refuses nothing but the jumps to our chains, the last step of all.
        ///
        /// - Parameter mark: a file; while it is not there they pass, and it is made.
        private static func late(_ form: String, passing mark: String = "/") -> String {
            let real = form.replacingOccurrences(of: "tables", with: "tables-nft")
            return """
                input=$(cat; echo "$*")
                case $input in *"-I INPUT "* | *"-I OUTPUT "*)
                    if [ -e "\(mark)" ]; then \(refusing); fi
                    touch "\(mark)" ;;
                esac
                echo "${input%"$*"}" | exec /usr/sbin/\(real) "$@"
                """
        }

        /// Runs a daemon to its end, with some programs missing (nil) or scripts in their place.
        private func run(
            _ node: Firewall, _ role: NodeRole, _ instead: [String: String?]
        ) throws -> CommandResult {
            let prefix = try alternatives(node, instead)
            defer { removeAlternatives(node) }
            return try Command.result(
                of: node.host.words(prefix)
                    + [try Daemon.binary()] + node.flags(role: role)
                    + ["--l2drop", "1", "--l2drop-backend", "tables"], deadline: 15)
        }

        private func links(_ node: Firewall) -> String { "\(node.controlFile)-alternatives" }

        private func removeAlternatives(_ node: Firewall) {
            _ = try? Command.run(["rm", "-r", links(node)])
        }

        /// Makes a directory with some programs missing (nil) or scripts in their place.
        ///
        /// - Returns: the words that start a program which sees them.
        private func alternatives(
            _ node: Firewall, _ instead: [String: String?]
        ) throws -> [String] {
            let links = links(node)
            try Command.run(["mkdir", "-p", links])
            try Command.run(["cp", "-a", "/etc/alternatives/.", links])
            for (form, script) in instead {
                try Command.run(["rm", "\(links)/\(form)"])
                guard let script else { continue }
                try "#!/bin/sh\n\(script)\n".write(
                    toFile: "\(links)/\(form)", atomically: false, encoding: .utf8)
                try Command.run(["chmod", "755", "\(links)/\(form)"])
            }
            let mounted = "mount --bind \"$0\" /etc/alternatives && exec \"$@\""
            return ["sh", "-c", mounted, links]
        }
    }
}
