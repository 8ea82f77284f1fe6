// SPDX-License-Identifier: GPL-2.0-or-later

/// A word of a rule that is not understood, and what is allowed in its place.
struct RuleMistake: Error, Equatable {
    /// The word.
    let word: String
    /// What may stand there: "must be" goes before it.
    let allowed: String

    /// The rest of a sentence about the rule.
    var sentence: String { "\(ConfigurationError.quoted(word)) must be \(allowed)" }
}

/// The text of a rule: `accept` or `ignore`, then criteria, words separated by spaces.
///
/// ```
/// rule      = ("accept" | "ignore") criterion*
/// criterion = "protocol" (name | number)      "zone" number
///           | "source" network                "mark" value ["/" mask]
///           | "destination" network           "state" STATE ("," STATE)*
///           | "assured"
/// network   = address ["/" prefix]            IPv4 or IPv6
/// ```
extension ReplicationRule {
    static let protocols: [(String, UInt8)] = [
        ("tcp", ProtocolNumber.tcp), ("udp", ProtocolNumber.udp), ("sctp", ProtocolNumber.sctp),
        ("gre", ProtocolNumber.gre), ("icmp", ProtocolNumber.icmp),
        ("icmpv6", ProtocolNumber.icmpv6),
    ]
    /// By their number in `enum tcp_conntrack`, as conntrack(8) names them.
    static let stateNames = [
        "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
        "TIME_WAIT", "CLOSE", "SYN_SENT2",
    ]
    private static let criteria =
        "protocol, source, destination, state, assured, mark or zone, each once"

    /// Reads a rule.
    init(text: String) throws(RuleMistake) {
        let words = text.split { $0 == " " || $0 == "\t" }.map { String($0) }
        switch words.first {
        case "accept": self.init(isAccept: true)
        case "ignore": self.init(isAccept: false)
        default: throw RuleMistake(word: words.first ?? "", allowed: "accept or ignore")
        }
        try readCriteria(words[1...])
    }

    /// Reads criteria only, as `ct_sync dump` takes them, into a rule that accepts.
    init(criteria words: [String]) throws(RuleMistake) {
        self.init(isAccept: true)
        try readCriteria(words[...])
    }

    /// Checks criteria of the command line.
    ///
    /// - Throws: `ConfigurationError` if a word is not understood.
    package static func check(criteria words: [String]) throws(ConfigurationError) {
        do throws(RuleMistake) {
            _ = try ReplicationRule(criteria: words)
        } catch {
            throw ConfigurationError(error.sentence, at: .commandLine)
        }
    }

    private mutating func readCriteria(_ words: ArraySlice<String>) throws(RuleMistake) {
        var rest = words
        var seen: Set<String> = []
        while let word = rest.popFirst() {
            guard seen.insert(word).inserted else {
                throw RuleMistake(word: word, allowed: "given only once")
            }
            if word == "assured" {
                needsAssured = true
                continue
            }
            let value = rest.first ?? ""
            switch word {
            case "protocol": protocolNumber = try Self.protocolNumber(value)
            case "source": source = try Self.network(value)
            case "destination": destination = try Self.network(value)
            case "zone":
                zone = UInt16(try Self.number(value, 0...65_535, "a number from 0 to 65535"))
            case "mark": (markValue, markMask) = try Self.mark(value)
            case "state": tcpStates = try Self.states(value)
            default: throw RuleMistake(word: word, allowed: Self.criteria)
            }
            rest = rest.dropFirst()
        }
        try check()
    }

    private mutating func check() throws(RuleMistake) {
        if tcpStates != 0 {
            if let protocolNumber, protocolNumber != ProtocolNumber.tcp {
                throw RuleMistake(
                    word: "state", allowed: "left out or go with protocol tcp: only TCP has one")
            }
            protocolNumber = ProtocolNumber.tcp
        }
        if let source, let destination, source.family != destination.family {
            throw RuleMistake(
                word: "destination",
                allowed: "an \(source.family == .ipv4 ? "IPv4" : "IPv6") network like the source")
        }
    }

    private static func number(
        _ text: some StringProtocol, _ range: ClosedRange<Int>, _ allowed: String
    ) throws(RuleMistake) -> Int {
        let isHexadecimal = text.hasPrefix("0x")
        let digits = isHexadecimal ? text.dropFirst(2) : text[...]
        let isPlain = digits.utf8.allSatisfy { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }
        guard isPlain, let number = Int(digits, radix: isHexadecimal ? 16 : 10),
            range.contains(number)
        else { throw RuleMistake(word: String(text), allowed: allowed) }
        return number
    }

    private static func protocolNumber(_ text: String) throws(RuleMistake) -> UInt8 {
        if let known = protocols.first(where: { $0.0 == text }) { return known.1 }
        let names = protocols.map(\.0).joined(separator: ", ")
        return UInt8(try number(text, 0...255, "\(names) or a number from 0 to 255"))
    }

    private static func network(_ text: String) throws(RuleMistake) -> ReplicationFilter.Network {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let host = HostAddress(text: String(first)) else {
            throw RuleMistake(word: text, allowed: "an IPv4 or IPv6 network, as 192.0.2.0/24")
        }
        let bits = host.family == .ipv4 ? 32 : 128
        var length = bits
        if parts.count == 2 {
            let range = "an \(host.family == .ipv4 ? "IPv4" : "IPv6") network with a prefix"
            guard !parts[1].hasPrefix("0x") else {
                throw RuleMistake(word: text, allowed: "\(range) from 0 to \(bits)")
            }
            do throws(RuleMistake) {
                length = try number(parts[1], 0...bits, "")
            } catch {
                throw RuleMistake(word: text, allowed: "\(range) from 0 to \(bits)")
            }
        }
        return ReplicationFilter.Network(
            address: host.address, prefixLength: length, family: host.family)
    }

    private static func mark(_ text: String) throws(RuleMistake) -> (UInt32, UInt32) {
        let allowed = "VALUE or VALUE/MASK, up to 0xffffffff, the mask not 0 and no bit outside it"
        let mistake = RuleMistake(word: text, allowed: allowed)
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        do throws(RuleMistake) {
            let value = UInt32(try number(parts[0], 0...0xFFFF_FFFF, allowed))
            let mask =
                parts.count == 2
                ? UInt32(try number(parts[1], 0...0xFFFF_FFFF, allowed)) : UInt32.max
            guard mask != 0, value & ~mask == 0 else { throw mistake }
            return (value, mask)
        } catch {
            throw mistake
        }
    }

    private static func states(_ text: String) throws(RuleMistake) -> UInt16 {
        var states: UInt16 = 0
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let state = stateNames.firstIndex(of: String(name)), state > 0 else {
                throw RuleMistake(
                    word: String(name),
                    allowed: "\(stateNames.dropFirst().joined(separator: ", ")), joined by commas")
            }
            states |= 1 << UInt16(state)
        }
        return states
    }
}
