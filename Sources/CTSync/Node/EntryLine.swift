// SPDX-License-Identifier: GPL-2.0-or-later

/// How `ct_sync dump` writes a connection: `key=value` words in the terms of conntrack(8), separated
/// by single spaces; no value has one in it.
package enum EntryLine {
    /// The key of the control socket's line.
    package static let key = "entry"

    /// Adds an entry as a line of the control socket.
    static func appendLine(of entry: borrowing Entry, to reply: inout TextBuffer) {
        beginLine(&reply)
        append(entry, to: &reply)
        reply.append("\n")
    }

    /// Adds a replica as a line of the control socket.
    static func appendLine(of replica: borrowing DumpedReplica, to reply: inout TextBuffer) {
        beginLine(&reply)
        append(replica, to: &reply)
        reply.append("\n")
    }

    private static func beginLine(_ reply: inout TextBuffer) {
        reply.append(key)
        reply.append("=")
    }

    /// The words of an entry.
    static func text(_ entry: Entry) -> String {
        var text = TextBuffer()
        append(entry, to: &text)
        return text.string
    }

    /// Adds the words of an entry.
    static func append(_ entry: borrowing Entry, to text: inout TextBuffer) {
        let tuple = entry.key.tuple
        appendProtocol(tuple, to: &text)
        append(tuple, "", to: &text)
        append(entry.reply, "reply_", to: &text)
        if entry.fields.contains(.protocolInfo) { appendState(entry, to: &text) }
        append(entry.status, to: &text)
        if entry.fields.contains(.timeout) {
            text.append(" timeout=")
            text.append(decimal: entry.timeoutSeconds)
        }
        if entry.mark != 0 {
            text.append(" mark=")
            text.append(decimal: entry.mark)
        }
        if entry.key.zone != 0 {
            switch entry.key.zoneDirection {
            case .both: text.append(" zone=")
            case .original: text.append(" original_zone=")
            case .reply: text.append(" reply_zone=")
            }
            text.append(decimal: entry.key.zone)
        }
        if entry.fields.contains(.helper) { append(entry.extras.helper, to: &text) }
        if entry.fields.contains(.labels) {
            text.append(" labels=0x")
            text.append(hexadecimal: entry.extras.labelsHigh)
            text.append(hexadecimal: entry.extras.labelsLow)
        }
        if entry.fields.contains(.parent) { append(entry.extras.parent, "parent_", to: &text) }
    }

    /// The words of an expectation.
    static func text(_ expectation: Expectation) -> String {
        var text = TextBuffer()
        append(expectation, to: &text)
        return text.string
    }

    /// Adds the words of an expectation: its tuple and mask, and the connection that expects it.
    static func append(_ expectation: Expectation, to text: inout TextBuffer) {
        let tuple = expectation.key.tuple
        appendProtocol(tuple, to: &text)
        append(tuple, "", to: &text)
        append(expectation.mask, "mask_", to: &text)
        append(expectation.parent, "parent_", to: &text)
        text.append(" timeout=")
        text.append(decimal: expectation.timeoutSeconds)
        if expectation.helper.count > 0 { append(expectation.helper, to: &text) }
    }

    /// Adds the words of a replica.
    static func append(_ replica: borrowing DumpedReplica, to text: inout TextBuffer) {
        append(replica.entry, to: &text)
        text.append(" age=")
        text.append(decimal: replica.ageSeconds)
        text.append(" origin=")
        text.append(replica.origin.rawValue)
    }

    private static func appendProtocol(_ tuple: Tuple, to text: inout TextBuffer) {
        text.append(tuple.family == .ipv4 ? "family=ipv4 protocol=" : "family=ipv6 protocol=")
        text.append(protocolName(tuple.protocolNumber))
    }

    /// Adds the words of a tuple, each with a blank before it.
    private static func append(
        _ tuple: Tuple, _ prefix: StaticString, to text: inout TextBuffer
    ) {
        func add(_ name: StaticString, _ number: UInt16) {
            text.append(byte: UInt8(ascii: " "))
            text.append(prefix)
            text.append(name)
            text.append(decimal: number)
        }
        for (name, address) in [("src=", tuple.source), ("dst=", tuple.destination)]
            as [(StaticString, Address)]
        {
            text.append(byte: UInt8(ascii: " "))
            text.append(prefix)
            text.append(name)
            text.append(address, tuple.family)
        }
        let (first, second) = (tuple.sourcePort, tuple.destinationPort)
        if tuple.isICMP {
            add("type=", second >> 8)
            add("code=", second & 0xFF)
            add("id=", first)
            return
        }
        switch tuple.protocolNumber {
        case ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp:
            add("sport=", first)
            add("dport=", second)
        case ProtocolNumber.gre:
            add("srckey=", first)
            add("dstkey=", second)
        default: break
        }
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

    private static func appendState(_ entry: borrowing Entry, to text: inout TextBuffer) {
        let state = entry.protocolInfo.state
        text.append(" state=")
        if entry.key.tuple.protocolNumber == ProtocolNumber.tcp {
            text.append(stateName(tcp: state))
        } else if Int(state) < sctpStateNames.count {
            text.append(sctpStateNames[Int(state)])
        } else {
            text.append(decimal: state)
        }
    }

    /// `enum sctp_conntrack`, uapi/linux/netfilter/nf_conntrack_sctp.h.
    private static let sctpStateNames = [
        "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
        "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
    ]

    /// The bits of a status that are shown, in this order.
    private static let statusNames: [(Status, StaticString)] = [
        (.IPS_SEEN_REPLY, "SEEN_REPLY"), (.IPS_ASSURED, "ASSURED"),
        (.IPS_EXPECTED, "EXPECTED"), (.IPS_SRC_NAT, "SRC_NAT"), (.IPS_DST_NAT, "DST_NAT"),
        (.IPS_SEQ_ADJUST, "SEQ_ADJUST"), (.IPS_HELPER, "HELPER"),
    ]

    private static func append(_ status: Status, to text: inout TextBuffer) {
        var separator: StaticString = " status="
        for (bit, name) in statusNames where status.contains(bit) {
            text.append(separator)
            text.append(name)
            separator = ","
        }
        if status.isDisjoint(with: shownStatus) { text.append(" status=-") }
    }

    private static let shownStatus = statusNames.reduce(into: Status()) { $0.formUnion($1.0) }

    private static func append(_ helper: HelperName, to text: inout TextBuffer) {
        let bytes = (0..<helper.count).map { helper[$0] }
        text.append(" helper=")
        text.append(
            ConfigurationError.printable(bytes.map { $0 == 0x20 ? UInt8(ascii: "?") : $0 }))
    }
}
