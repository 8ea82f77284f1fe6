// SPDX-License-Identifier: GPL-2.0-or-later

import Logging
import Testing

@testable import CTSync

@Suite struct ConfigurationTests {
    /// A setting that is refused, and the whole sentence.
    struct Bad: Sendable, CustomTestStringConvertible {
        let name: String
        let value: String
        let sentence: String
        init(_ name: String, _ value: String, _ sentence: String) {
            (self.name, self.value, self.sentence) = (name, value, sentence)
        }
        var testDescription: String { "\(name)=\(value)" }
    }

    static let device = "the name of a network device (1 to 15 letters, no space, / or :)"
    static let path = "the absolute path of a file, of at most 102 bytes"
    static let peer =
        "the IPv4 or IPv6 address of one other node, without port, and with a scope (%DEVICE) only "
        + "if it is link-local"
    static let group = "a multicast address (in 224.0.0.0/4 or ff00::/8)"
    static let levels = "one of trace, debug, info, notice, warning, error, critical"
    static let ring = "a power of two from 64 to 1048576"
    static let rate = "a number from 0 to 4294967295 (packets per second)"
    static let bad: [Bad] = [
        Bad("syncdev", "", "--syncdev is \"\" but must be \(device)"),
        Bad("syncdev", "a/b", "--syncdev is \"a/b\" but must be \(device)"),
        Bad("syncdev", "..", "--syncdev is \"..\" but must be \(device)"),
        Bad(
            "syncdev", "sixteen-letters-", "--syncdev is \"sixteen-letters-\" but must be \(device)"
        ),
        Bad("syncdev", "a\u{1B}[2J", "--syncdev is \"a?[2J\" but must be \(device)"),
        Bad(
            "state", "backup",
            "--state is \"backup\" but must be master, slave, 1 (master) or 0 (slave)"),
        Bad("id", "256", "--id is \"256\" but must be a number from 0 to 255"),
        Bad("id", "-1", "--id is \"-1\" but must be a number from 0 to 255"),
        Bad("id", "+1", "--id is \"+1\" but must be a number from 0 to 255"),
        Bad("id", "", "--id is \"\" but must be a number from 0 to 255"),
        Bad("l2drop", "yes", "--l2drop is \"yes\" but must be 0 or 1"),
        Bad(
            "l2drop-backend", "iptables",
            "--l2drop-backend is \"iptables\" but must be auto, netdev or tables"),
        Bad("l2drop-on-exit", "1", "--l2drop-on-exit is \"1\" but must be keep or open"),
        Bad("control-file", "state", "--control-file is \"state\" but must be \(path)"),
        Bad("control-file", "/run/", "--control-file is \"/run/\" but must be \(path)"),
        Bad("group", "192.0.2.1", "--group is \"192.0.2.1\" but must be \(group)"),
        Bad("group", "fe80::1", "--group is \"fe80::1\" but must be \(group)"),
        Bad("port", "0", "--port is \"0\" but must be a number from 1 to 65535"),
        Bad("port", "65536", "--port is \"65536\" but must be a number from 1 to 65535"),
        Bad("peer", "fd00::1%eth2", "--peer is \"fd00::1%eth2\" but must be \(peer)"),
        Bad(
            "peer", "fe80::1%eth0",
            "--peer is \"fe80::1%eth0\" but must be reached by the sync device, sync0: no other "
                + "scope is of use"),
        Bad("peer", "224.0.0.1", "--peer is \"224.0.0.1\" but must be \(peer)"),
        Bad("peer", "0.0.0.0", "--peer is \"0.0.0.0\" but must be \(peer)"),
        Bad("peer", "255.255.255.255", "--peer is \"255.255.255.255\" but must be \(peer)"),
        Bad("peer", "firewall-b", "--peer is \"firewall-b\" but must be \(peer)"),
        Bad("initsync-rate", "fast", "--initsync-rate is \"fast\" but must be \(rate)"),
        Bad("initsync-rate", "4294967296", "--initsync-rate is \"4294967296\" but must be \(rate)"),
        Bad("ring-slots", "1000", "--ring-slots is \"1000\" but must be \(ring)"),
        Bad("ring-slots", "32", "--ring-slots is \"32\" but must be \(ring)"),
        Bad("ring-slots", "2097152", "--ring-slots is \"2097152\" but must be \(ring)"),
        Bad("max-entries", "0", "--max-entries is \"0\" but must be a number from 1 to 1073741824"),
        Bad("log-level", "loud", "--log-level is \"loud\" but must be \(levels)"),
        Bad(
            "sync-dev", "eth0",
            "--sync-dev is no setting of ct_sync; did you mean syncdev?"),
        Bad(
            "colour", "red",
            "--colour is no setting of ct_sync; there are "
                + SettingsTable.names.joined(separator: ", ")),
    ]

    @Test(arguments: bad) func aBadValueIsRefusedWithWhatWasGivenAndWhatIsAllowed(_ bad: Bad) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration([
                Setting("syncdev", "sync0", .flag), Setting(bad.name, bad.value, .flag),
            ])
        }
        #expect(error?.sentence == bad.sentence)
        #expect(error?.exitStatus == 64)
    }

    @Test func theDefaultsAreThoseOfTheModule() throws {
        let settings = try Configuration([Setting("syncdev", "sync0", .flag)])
        #expect(settings.syncdev == "sync0")
        #expect(settings.state == nil)
        #expect(settings.nodeID == 0 && !settings.l2drop)
        #expect(settings.controlFile == "/run/ct_sync/state")
        #expect(settings.group == nil && settings.peers.isEmpty && settings.port == 3_781)
        #expect(settings.initsyncRate == 1_000 && settings.ringSlots == 4_096)
        #expect(settings.reconcileSeconds == 300)
        #expect(settings.maxEntries == nil && settings.logLevel == .info)
    }

    @Test func everySettingTakesItsLimits() throws {
        let settings = try Configuration(
            [
                ("syncdev", "fifteen-letters"), ("state", "1"), ("id", "255"), ("l2drop", "0"),
                ("control_file", "/tmp/x"), ("peer", "fe80::1"),
                ("peer", "fe80::2%fifteen-letters"),
                ("peer", "fe80::1"), ("port", "65535"), ("initsync_rate", "0"),
                ("ring_slots", "64"), ("max_entries", "1"), ("log_level", "debug"),
            ].map { Setting($0.0, $0.1, .parameter) })
        #expect(settings.state == .master && settings.nodeID == 255)
        #expect(settings.controlFile == "/tmp/x")
        #expect(settings.peers.map(\.description) == ["fe80::1", "fe80::2"])
        #expect(settings.port == 65_535 && settings.initsyncRate == 0)
        #expect(settings.ringSlots == 64 && settings.maxEntries == 1)
        #expect(settings.logLevel == .debug)
    }

    @Test func withoutADeviceThereIsNothingToSyncOver() {
        let error = #expect(throws: ConfigurationError.self) { try Configuration([]) }
        #expect(
            error?.sentence
                == "syncdev is not given; name the device of the sync link with --syncdev DEVICE")
    }

    @Test func whatAFileLacksIsMissedThere() throws {
        let other = Setting("id", "1", .file(path: "/etc/c", line: 1))
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(file: [other], of: "/etc/c", commandLine: [])
        }
        #expect(
            error?.sentence
                == "/etc/c: syncdev is not given; name the device of the sync link with a line "
                + "\"options ct_sync syncdev=DEVICE\" there")
        #expect(error?.exitStatus == 78)
        let device = Setting("syncdev", "s", .flag)
        #expect(try Configuration(file: [other], of: "/etc/c", commandLine: [device]).nodeID == 1)
    }

    /// Several sync devices, each once; the command line's replace the file's.
    @Test func aNodeHasUpToFourSyncDevices() throws {
        func devices(_ names: [String]) -> [Setting] { names.map { Setting("syncdev", $0, .flag) } }
        let settings = try Configuration(
            file: [Setting("syncdev", "f", .file(path: "f", line: 1))],
            commandLine: devices(["a", "b", "a", "c", "d"]))
        #expect(settings.syncdevs == ["a", "b", "c", "d"] && settings.syncdev == "a")
        #expect(settings.openDevices == ["b", "c", "d"])
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(devices(["a", "b", "c", "d", "e"]))
        }
        #expect(
            error?.sentence
                == "--syncdev is \"e\", one more than the 4 sync devices there may be")
    }

    /// With several devices their peers may be of different families, and a scope says which it is.
    @Test func peersOfSeveralDevices() throws {
        let two = ["a", "b"].map { Setting("syncdev", $0, .flag) }
        let settings = try Configuration(
            two + ["192.0.2.2", "fe80::1%b"].map { Setting("peer", $0, .flag) })
        #expect(settings.peers.map(\.description) == ["192.0.2.2", "fe80::1"])
        #expect(settings.peerDevices[settings.peers[1]] == ["b"])
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(two + [Setting("peer", "fe80::1%c", .flag)])
        }
        #expect(error?.sentence.contains("reached by the sync device, a or b:") == true)
    }

    @Test func peersAreOfOneFamilyAndExcludeAGroup() {
        let device = Setting("syncdev", "s", .flag)
        let four = Setting("peer", "192.0.2.2", .flag)
        let families = #expect(throws: ConfigurationError.self) {
            try Configuration([device, four, Setting("peer", "fe80::1", .flag)])
        }
        #expect(
            families?.sentence
                == "--peer is \"fe80::1\" but must be an IPv4 address like the peer 192.0.2.2: "
                + "all peers are of one family")
        let both = #expect(throws: ConfigurationError.self) {
            try Configuration([device, four, Setting("group", "224.0.0.81", .flag)])
        }
        #expect(
            both?.sentence
                == "group 224.0.0.81 and peer 192.0.2.2 are both given, but packets go either to "
                + "a group or to peers")
    }

    @Test func theCommandLineWinsOverTheFile() throws {
        let file = [
            Setting("syncdev", "eth1", .file(path: "f", line: 1)),
            Setting("id", "1", .file(path: "f", line: 1)),
            Setting("initsync_rate", "5", .file(path: "f", line: 1)),
            Setting("peer", "192.0.2.9", .file(path: "f", line: 2)),
        ]
        let settings = try Configuration(
            file: file,
            commandLine: [
                Setting("id", "2", .flag), Setting("initsync-rate", "6", .flag),
                Setting("group", "ff02::1234", .flag),
            ])
        #expect(settings.syncdev == "eth1" && settings.nodeID == 2)
        #expect(settings.initsyncRate == 6)
        #expect(settings.peers.isEmpty && settings.group?.description == "ff02::1234")
    }

    @Test func aMistakeInTheFileIsOneThoughTheCommandLineWins() {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(
                file: [Setting("id", "x", .file(path: "/etc/c", line: 7))],
                commandLine: [Setting("syncdev", "s", .flag), Setting("id", "2", .flag)])
        }
        #expect(error?.sentence == "/etc/c:7: id is \"x\" but must be a number from 0 to 255")
        #expect(error?.exitStatus == 78)
    }

    @Test func addressesAreReadAndWrittenAlike() throws {
        for text in ["192.0.2.1", "224.0.0.81", "fe80::1:2", "ff02::c7", "::1", "2001:db8::ff"] {
            #expect(HostAddress(text: text)?.description == text)
        }
        let four = try #require(HostAddress(text: "192.0.2.1"))
        #expect(four.address == Address(ipv4: 0xC000_0201) && four.family == .ipv4)
        let six = try #require(HostAddress(text: "2001:db8::ff"))
        #expect(six.address == Address(high: 0x2001_0DB8_0000_0000, low: 0xFF))
        for text in ["", "192.0.2", "192.0.2.1 ", "1.2.3.4\u{0}", "::g", "localhost"] {
            #expect(HostAddress(text: text) == nil)
        }
    }
}
