// SPDX-License-Identifier: GPL-2.0-or-later

/// How `ct_sync dump` writes a connection: `key=value` words in the terms of conntrack(8), separated
/// by single spaces; no value has one in it.
package enum EntryLine {
    /// The key of the control socket's line.
    package static let key = "entry"

    /// The words of an entry.
    static func text(_ entry: Entry) -> String {
        let tuple = entry.key.tuple
        var words = ["family=\(tuple.family)", "protocol=\(protocolName(tuple))"]
        words += Self.words(tuple, prefix: "")
        words += Self.words(entry.reply, prefix: "reply_")
        if entry.fields.contains(.protocolInfo) { words.append("state=\(stateName(entry))") }
        words.append("status=\(statusNames(entry.status))")
        if entry.fields.contains(.timeout) { words.append("timeout=\(entry.timeoutSeconds)") }
        if entry.mark != 0 { words.append("mark=\(entry.mark)") }
        if entry.key.zone != 0 {
            let direction =
                switch entry.key.zoneDirection {
                case .both: "zone"
                case .original: "original_zone"
                case .reply: "reply_zone"
                }
            words.append("\(direction)=\(entry.key.zone)")
        }
        if entry.fields.contains(.helper) { words.append("helper=\(name(entry.extras.helper))") }
        if entry.fields.contains(.labels) {
            let (low, high) = (entry.extras.labelsLow, entry.extras.labelsHigh)
            words.append("labels=0x\(hexadecimal(high))\(hexadecimal(low))")
        }
        if entry.fields.contains(.parent) {
            words += Self.words(entry.extras.parent, prefix: "parent_")
        }
        return words.joined(separator: " ")
    }

    /// The words of an expectation: its tuple and mask, and the connection that expects it.
    static func text(_ expectation: Expectation) -> String {
        let tuple = expectation.key.tuple
        var words = ["family=\(tuple.family)", "protocol=\(protocolName(tuple))"]
        words += Self.words(tuple, prefix: "")
        words += Self.words(expectation.mask, prefix: "mask_")
        words += Self.words(expectation.parent, prefix: "parent_")
        words.append("timeout=\(expectation.timeoutSeconds)")
        if expectation.helper.count > 0 { words.append("helper=\(name(expectation.helper))") }
        return words.joined(separator: " ")
    }

    /// The words of a replica.
    static func text(_ replica: DumpedReplica) -> String {
        text(replica.entry)
            + " age=\(replica.ageSeconds) origin=\(replica.origin.rawValue)"
    }

    private static func words(_ tuple: Tuple, prefix: String) -> [String] {
        let addresses = [
            "\(prefix)src=\(HostAddress(tuple.family, tuple.source))",
            "\(prefix)dst=\(HostAddress(tuple.family, tuple.destination))",
        ]
        let (first, second) = (tuple.sourcePort, tuple.destinationPort)
        if tuple.isICMP {
            return addresses + [
                "\(prefix)type=\(second >> 8)", "\(prefix)code=\(second & 0xFF)",
                "\(prefix)id=\(first)",
            ]
        }
        switch tuple.protocolNumber {
        case ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp:
            return addresses + ["\(prefix)sport=\(first)", "\(prefix)dport=\(second)"]
        case ProtocolNumber.gre:
            return addresses + ["\(prefix)srckey=\(first)", "\(prefix)dstkey=\(second)"]
        default:
            return addresses
        }
    }

    private static func protocolName(_ tuple: Tuple) -> String {
        protocolName(tuple.protocolNumber)
    }

    /// The name of a protocol, or its number.
    static func protocolName(_ number: UInt8) -> String {
        let known = ReplicationRule.protocols.first { $0.1 == number }
        return known?.0 ?? "\(number)"
    }

    /// The name of a TCP state.
    static func stateName(tcp state: UInt8) -> String {
        let names = ReplicationRule.stateNames
        return Int(state) < names.count ? names[Int(state)] : "\(state)"
    }

    private static func stateName(_ entry: Entry) -> String {
        let state = Int(entry.protocolInfo.state)
        let isTCP = entry.key.tuple.protocolNumber == ProtocolNumber.tcp
        let names = isTCP ? ReplicationRule.stateNames : sctpStateNames
        return state < names.count ? names[state] : "\(state)"
    }

    /// `enum sctp_conntrack`, uapi/linux/netfilter/nf_conntrack_sctp.h.
    private static let sctpStateNames = [
        "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
        "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
    ]

    private static func statusNames(_ status: Status) -> String {
        let named: [(Status, String)] = [
            (.IPS_SEEN_REPLY, "SEEN_REPLY"), (.IPS_ASSURED, "ASSURED"),
            (.IPS_EXPECTED, "EXPECTED"), (.IPS_SRC_NAT, "SRC_NAT"), (.IPS_DST_NAT, "DST_NAT"),
            (.IPS_SEQ_ADJUST, "SEQ_ADJUST"), (.IPS_HELPER, "HELPER"),
        ]
        let names = named.filter { status.contains($0.0) }.map(\.1)
        return names.isEmpty ? "-" : names.joined(separator: ",")
    }

    private static func name(_ helper: HelperName) -> String {
        let bytes = (0..<helper.count).map { helper[$0] }
        return ConfigurationError.printable(bytes.map { $0 == 0x20 ? UInt8(ascii: "?") : $0 })
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    // MARK: JSON

    private static let numbers: Set<String> = [
        "sport", "dport", "type", "code", "id", "srckey", "dstkey", "timeout", "mark", "zone",
        "age", "packets", "bytes", "duration", "portid", "count", "lines",
    ]

    /// The words as an object of JSON: numbers as such, the status as a list.
    package static func json(_ text: some StringProtocol) -> String {
        var members: [String] = []
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            let key = parts[0]
            let plain = key.split(separator: "_").last.map { String($0) } ?? ""
            let value: String
            if key == "status" {
                let names = parts[1] == "-" ? [] : parts[1].split(separator: ",")
                value = "[" + names.map { quoted($0) }.joined(separator: ",") + "]"
            } else if numbers.contains(plain), isNumber(parts[1]) {
                value = String(parts[1])
            } else {
                value = quoted(parts[1])
            }
            members.append("\(quoted(key)):\(value)")
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    /// Whether it is a number of JSON: digits, perhaps a point and more digits.
    private static func isNumber(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count <= 2 && parts.allSatisfy { UInt64($0) != nil }
    }

    private static func quoted(_ text: some StringProtocol) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            let isPlain = scalar.value >= 0x20 && scalar.value < 0x7F
            quoted.unicodeScalars.append(isPlain ? scalar : "?")
        }
        return quoted + "\""
    }
}
