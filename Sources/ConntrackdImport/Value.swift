// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

extension Form.Value {
    /// Reads a word: its text, switches and modes in one spelling; nil for one that cannot stand here.
    func read(_ word: String) -> String? {
        switch self {
        case .flag: return Self.flags[word.lowercased()]
        case .number(let range):
            guard word.utf8.allSatisfy(Self.isDigit), let number = Int(word),
                range.contains(number)
            else { return nil }
            return String(number)
        case .signedNumber:
            guard let sign = word.utf8.first, "+-".utf8.contains(sign), word.utf8.count > 1,
                word.utf8.dropFirst().allSatisfy(Self.isDigit)
            else { return nil }
            return word
        case .path: return word.hasPrefix("/") ? word : nil
        case .ipv4: return IPNetwork(word, .ipv4)?.isAddress == true ? word : nil
        case .ipv6: return IPNetwork(word, .ipv6)?.isAddress == true ? word : nil
        case .ipv4Network: return IPNetwork(word, .ipv4) == nil ? nil : word
        case .ipv6Network: return IPNetwork(word, .ipv6) == nil ? nil : word
        case .name: return Self.isName(word) ? word : nil
        case .device: return Self.isName(word) && word.utf8.count <= 15 ? word : nil
        case .protocolName: return ProtocolName.number(word) == nil ? nil : word
        case .oneOf(let words): return words.contains(word) ? word : nil
        case .mode: return Self.modes[word.lowercased()]
        case .flagOr(let other): return Self.flags[word.lowercased()] ?? other.read(word)
        }
    }

    /// What may stand here: "must be" goes before it.
    var allowed: String {
        switch self {
        case .flag: "on, off, yes or no"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .signedNumber: "a number with its sign, as -20 or +5"
        case .path: "an absolute path"
        case .ipv4: "an IPv4 address"
        case .ipv6: "an IPv6 address"
        case .ipv4Network: "an IPv4 address or network, as 192.0.2.0/24"
        case .ipv6Network: "an IPv6 address or network, as 2001:db8::/32"
        case .name: "a name: a letter, then letters, digits, points, dashes and underscores"
        case .device: "the name of a network device (1 to 15 letters, the first no digit)"
        case .protocolName: "the name of a protocol, as TCP, UDP, SCTP, DCCP, ICMP or IPv6-ICMP"
        case .oneOf(let words): words.joined(separator: ", ")
        case .mode: "FTFW, ALARM or NOTRACK"
        case .flagOr(let other): "on, off, yes, no or \(other.allowed)"
        }
    }

    private static let flags = ["on": "on", "yes": "on", "off": "off", "no": "off"]
    /// The last two are the names of the time before 2008.
    private static let modes = [
        "ftfw": "FTFW", "alarm": "ALARM", "notrack": "NOTRACK", "nack": "FTFW",
        "persistent": "ALARM",
    ]

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
    }

    private static func isName(_ word: String) -> Bool {
        guard let first = word.utf8.first, isLetter(first) else { return false }
        return word.utf8.allSatisfy { isLetter($0) || isDigit($0) || ".-_".utf8.contains($0) }
    }
}

/// The protocols that a filter names.
enum ProtocolName {
    /// The number of a protocol by its name in /etc/protocols, aliases and capitals included; nil for
    /// none.
    static func number(_ name: String) -> UInt8? {
        if let known = known[name.lowercased()] { return known }
        guard let entry = getprotobyname(name) else { return nil }
        return UInt8(exactly: entry.pointee.p_proto)
    }

    private static let known: [String: UInt8] = [
        "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "ipv6-icmp": 58,
        "icmpv6": 58, "vrrp": 112, "sctp": 132, "udplite": 136,
    ]
}

/// The states of a TCP connection, and those that follow while it lives.
enum TCPStates {
    /// As conntrackd.conf names them.
    static let names = [
        "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
        "CLOSE", "CLOSED", "LISTEN",
    ]
    /// Those in which a connection that was open still carries data or acknowledgements.
    static let closing = ["FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"]

    /// As ct_sync and conntrack(8) name it.
    static func ctSyncName(_ name: String) -> String {
        switch name {
        case "CLOSED": "CLOSE"
        case "LISTEN": "SYN_SENT2"
        default: name
        }
    }
}
