// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The kinds that are nouns of this field.
extension SettingKind where Value == String {
    /// What the kernel takes for a device's name.
    static var device: SettingKind {
        SettingKind(
            "device", allowed: "the name of a network device (1 to 15 letters, no space, / or :)",
            candidates: .devices, show: { $0 },
            parse: { text in
                let isPlain = text.utf8.allSatisfy {
                    $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
                }
                guard isPlain, (1...15).contains(text.utf8.count), text != ".", text != ".." else {
                    return nil
                }
                return text
            })
    }

    /// The name of a cluster.
    static var clusterName: SettingKind {
        SettingKind(
            "name", allowed: "a name of 1 to 32 letters, digits, dots, hyphens and underscores",
            show: { $0 },
            parse: { text in
                let isPlain = text.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
                        UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
                return isPlain && (1...32).contains(text.utf8.count) ? text : nil
            })
    }

    /// A control file: its path leaves room for the names beside it in a socket's address.
    static var controlFile: SettingKind {
        path(upTo: ControlSocket.pathLimit - ControlSocket.suffix.utf8.count)
    }
}

extension SettingKind where Value == UInt32 {
    /// The pace of an initsync; 0 for none.
    static var packetsPerSecond: SettingKind {
        number(0...UInt32.max, "packets per second", named: "rate")
    }
}

extension SettingKind where Value == Role {
    /// A role by its name or its number.
    static var role: SettingKind {
        SettingKind(
            "master|slave", allowed: "master, slave, 1 (master) or 0 (slave)",
            candidates: .words(["master", "slave"]), show: \.description,
            parse: { Role(text: $0) })
    }
}

extension SettingKind where Value == L2DropChoice {
    /// A backend of l2drop by its name.
    static var l2dropBackend: SettingKind {
        choice(L2DropChoice.allCases.map { ($0.rawValue, $0) }, named: "backend")
    }
}

extension SettingKind where Value == SealMode {
    /// What is done about packets that are not sealed.
    static var sealMode: SettingKind {
        choice([("strict", .strict), ("permissive", .permissive)])
    }
}

extension SettingKind where Value == HostAddress {
    /// A multicast group.
    static var group: SettingKind {
        SettingKind(
            "address", allowed: "a multicast address (in 224.0.0.0/4 or ff00::/8)",
            show: \.description,
            parse: { text in HostAddress(text: text).flatMap { $0.isMulticast ? $0 : nil } })
    }

    /// The address of one other node; a link-local one may name the device that it is meant on.
    static var peer: SettingKind {
        SettingKind(
            "address",
            allowed: "the IPv4 or IPv6 address of one other node, without port, and with a scope "
                + "(%DEVICE) only if it is link-local",
            show: \.description,
            parse: { text in
                let parts = text.split(
                    separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
                guard let address = HostAddress(text: String(parts[0])), address.isUnicast,
                    parts.count == 1 || address.isLinkLocal
                else { return nil }
                return address
            })
    }
}

extension SettingKind where Value == Logger.Level {
    /// A level of swift-log.
    static var logLevel: SettingKind {
        let all = Logger.Level.allCases
        return choice(
            all.map { ($0.rawValue, $0) }, named: "level",
            allowed: "one of " + all.map(\.rawValue).joined(separator: ", "))
    }
}

extension SettingKind where Value == ReplicationRule {
    /// A rule of the replication filter; a mistake in it is named by its word.
    static var replicationRule: SettingKind {
        SettingKind(
            "rule",
            allowed: "accept or ignore, then criteria: protocol, source, destination, state, "
                + "assured, mark or zone, each once",
            show: { _ in "" }
        ) { (setting: Setting) throws(ConfigurationError) in
            do throws(RuleMistake) {
                return try ReplicationRule(text: setting.value)
            } catch {
                throw ConfigurationError(
                    "\(setting.subject) is \(ConfigurationError.quoted(setting.value)), in which "
                        + error.sentence, at: setting.origin.place)
            }
        }
    }
}
