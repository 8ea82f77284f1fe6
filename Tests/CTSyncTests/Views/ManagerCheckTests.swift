// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct ManagerCheckTests {
    /// A directory in the place of the machine's root.
    private final class Root {
        let path = NSTemporaryDirectory() + "ct_sync-manager-\(UUID().uuidString)"

        func write(_ text: String, _ file: String) throws {
            let whole = URL(fileURLWithPath: path + file)
            try FileManager.default.createDirectory(
                at: whole.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: whole, atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private static let addresses = ["203.0.113.1", "192.168.1.1"].compactMap {
        HostAddress(text: $0)
    }

    private static func node(
        isMaster: Bool, usesDarkness: Bool = false, has addresses: [HostAddress]
    ) -> ManagerCheck.Node {
        ManagerCheck.Node(
            isMaster: isMaster, usesDarkness: usesDarkness, addresses: addresses)
    }

    private static func lines(
        _ root: Root, _ node: ManagerCheck.Node, _ processes: Set<String> = ["keepalived"]
    ) -> [String] {
        ManagerCheck(node, root: root.path, processes: processes).items.map {
            "\($0.level) \($0.name): \($0.text)"
        }
    }

    /// The files that we ship.
    private static func shipped(_ name: String) throws -> String {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../conf/keepalived/\(name)")
        return try String(contentsOf: package, encoding: .utf8)
    }

    private static let told = "0 manager: keepalived tells us MASTER, BACKUP and FAULT"

    @Test func ourOwnExampleIsWell() throws {
        let root = Root()
        try root.write(try Self.shipped("keepalived.conf"), "/etc/keepalived/keepalived.conf")
        let (master, slave) = (
            Self.node(isMaster: true, has: Self.addresses), Self.node(isMaster: false, has: [])
        )
        #expect(
            Self.lines(root, master)
                == [Self.told, "0 addresses: 2 addresses that the manager moves: on this master"])
        #expect(
            Self.lines(root, slave)
                == [
                    Self.told, "0 addresses: 2 addresses that the manager moves: not on this slave",
                ]
        )
        // An address that is where it should not be.
        #expect(
            Self.lines(root, Self.node(isMaster: true, has: [Self.addresses[0]]))
                == [Self.told, "2 addresses: 192.168.1.1 not on this master"])
        #expect(
            Self.lines(root, Self.node(isMaster: false, has: [Self.addresses[1]]))
                == [Self.told, "2 addresses: 192.168.1.1 on this node, which is slave"])
        #expect(
            Self.lines(
                root, Self.node(isMaster: false, usesDarkness: true, has: Self.addresses)
            ).allSatisfy { $0.hasPrefix("0 ") })
        #expect(
            Self.lines(root, master, []).first == "2 keepalived: is set up and does not run")
        try root.write(
            try Self.shipped("keepalived-l2drop.conf"), "/etc/keepalived/keepalived.conf")
        #expect(Self.lines(root, slave) == [Self.told])
    }

    @Test func aManagerThatDoesNotCallUsIsFound() throws {
        let root = Root()
        try root.write(
            """
            ! notify "/usr/lib/ct_sync/ct_sync-notify"
            vrrp_instance outside {
                notify_master "/etc/keepalived/own master"  # ours
                notify_backup /usr/bin/logger
                virtual_ipaddress { 203.0.113.1/24 }
            }
            include conf.d/*.conf
            """, "/etc/keepalived/keepalived.conf")
        try root.write("#!/bin/sh\necho $1 > /run/ct_sync/state\n", "/etc/keepalived/own")
        let slave = Self.node(isMaster: false, has: [])
        #expect(
            Self.lines(root, slave) == [
                "2 manager: keepalived does not tell us BACKUP, FAULT",
                "1 watch: keepalived does not notice a daemon that is gone",
                "0 addresses: 1 address that the manager moves: not on this slave",
            ])
        // In an included file.
        try root.write(
            """
            vrrp_script alive {
                script "/usr/sbin/ct_sync-role check"
            }
            vrrp_sync_group all {
                notify /usr/lib/ct_sync/ct_sync-notify
            }
            """, "/etc/keepalived/conf.d/more.conf")
        #expect(Self.lines(root, slave).first == Self.told)
        #expect(!Self.lines(root, slave).contains { $0.contains("watch") })
    }

    @Test(arguments: ["notify_fifo", "vrrp_notify_fifo"])
    func aScriptOfItsFIFOTellsUsToo(_ setting: String) throws {
        let root = Root()
        let text = try Self.shipped("keepalived.conf").replacing(
            "notify \"/usr/lib/ct_sync/ct_sync-notify\"", with: "")
        let slave = Self.node(isMaster: false, has: [])
        // The FIFO alone has no reader of ours.
        for (reader, isTold) in [
            ("", false), ("/usr/lib/ct_sync/ct_sync-notify-fifo GROUP firewall", true),
        ] {
            try root.write(
                text.replacing(
                    "global_defs {",
                    with: """
                        global_defs {
                            \(setting) /run/ct_sync.fifo
                            \(reader.isEmpty ? "" : "\(setting)_script \"\(reader)\"")
                        """), "/etc/keepalived/keepalived.conf")
            #expect((Self.lines(root, slave).first == Self.told) == isTold)
        }
    }

    @Test func pacemakersConfigurationIsRead() throws {
        let root = Root()
        let address = "<nvpair id=\"a\" name=\"ip\" value=\"203.0.113.1\"/>"
        try root.write("<cib>\(address)</cib>\n", "/var/lib/pacemaker/cib/cib.xml")
        let master = Self.node(isMaster: true, has: [Self.addresses[0]])
        #expect(
            Self.lines(root, master, ["pacemakerd"]) == [
                "2 manager: Pacemaker has no resource of ours",
                "0 addresses: 1 address that the manager moves: on this master",
            ])
        try root.write(
            "<cib>\(address)<primitive class=\"ocf\" provider=\"ct_sync\" type=\"ct_sync\"/></cib>\n",
            "/var/lib/pacemaker/cib/cib.xml")
        #expect(
            Self.lines(root, master, ["pacemakerd"]).first
                == "0 manager: Pacemaker has a resource of ours")
        #expect(Self.lines(root, master, []).first == "2 pacemaker: is set up and does not run")
    }

    @Test func withoutAManagerNothingIsWrong() {
        let lines = Self.lines(Root(), Self.node(isMaster: true, has: []))
        #expect(lines.count == 1 && lines[0].hasPrefix("0 manager: neither keepalived nor"))
    }
}
