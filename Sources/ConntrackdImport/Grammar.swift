// SPDX-License-Identifier: GPL-2.0-or-later

/// The grammar of conntrackd.conf, conntrack-tools 1.4.8: which clauses stand where, and what follows
/// each name. Clauses that older versions had are in it too; they are as good a statement of what is
/// wanted.
struct Form: Sendable {
    /// What a word may be.
    indirect enum Value: Sendable {
        /// on, off, yes or no, in any case.
        case flag
        /// Digits.
        case number(ClosedRange<Int>)
        /// Digits with a sign before them.
        case signedNumber
        /// An absolute path.
        case path
        /// An IPv4 address.
        case ipv4
        /// An IPv6 address.
        case ipv6
        /// An IPv4 address or network.
        case ipv4Network
        /// An IPv6 address or network.
        case ipv6Network
        /// A letter, then letters, digits, points, dashes and underscores.
        case name
        /// A name that a network device can have.
        case device
        /// The name of a protocol.
        case protocolName
        /// One of these words.
        case oneOf([String])
        /// One of these words, in any case; the value is the one that they stand for.
        case mode
        /// A switch, or else something.
        case flagOr(Value)
    }

    /// What stands in the braces after a clause.
    indirect enum Body: Sendable {
        /// There are no braces.
        case none
        /// Clauses.
        case section(Section)
        /// Clauses of the mode that the clause's word names.
        case modeSection
        /// Words.
        case list(Value)
        /// States, each group of them followed by "for TCP".
        case states
        /// A switch in place of braces, or else words.
        case flagOrList(Value)
    }

    /// A word that may be left out; one with a word of its own in front, as "From".
    enum Option: Sendable {
        case word(String)
        case pair(String, [String])
    }

    var option: Option?
    var values: [Value] = []
    var body = Body.none

    static func value(_ value: Value) -> Form { Form(values: [value]) }
    static let flag = Form(values: [.flag])
    static let number = Form(values: [.number(0...2_147_483_647)])
    static let path = Form(values: [.path])
    static let nothing = Form()
}

/// A place for clauses, and the clauses that may stand there.
enum Section: String, Sendable, CaseIterable {
    case file = "the file"
    case general = "General"
    case sync = "Sync"
    case stats = "Stats"
    case helper = "Helper"
    case ftfw = "Mode FTFW"
    case alarm = "Mode ALARM"
    case notrack = "Mode NOTRACK"
    case multicast = "Multicast"
    case udp = "UDP"
    case tcp = "TCP"
    case options = "Options"
    case unix = "UNIX"
    case scheduler = "Scheduler"
    case filter = "Filter"
    case addresses = "Address"
    case helperType = "Type"
    case helperPolicy = "Policy"

    /// The clauses, by their case-sensitive names.
    var forms: KeyValuePairs<String, Form> {
        switch self {
        case .file:
            [
                "Sync": Form(body: .section(.sync)), "General": Form(body: .section(.general)),
                "Stats": Form(body: .section(.stats)), "Helper": Form(body: .section(.helper)),
                "IgnoreTrafficFor": Form(body: .section(.addresses)),
                "IgnoreProtocol": Form(body: .list(.protocolName)), "StripNAT": .nothing,
            ]
        case .sync:
            [
                "Mode": Form(values: [.mode], body: .modeSection),
                "Multicast": Self.link(.multicast), "UDP": Self.link(.udp),
                "TCP": Self.link(.tcp), "Options": Form(body: .section(.options)),
                "RefreshTime": .number, "CacheTimeout": .number, "CommitTimeout": .number,
                "PurgeTimeout": .number, "Checksum": .flag, "CacheWriteThrough": .flag,
                "RelaxTransitions": .nothing, "DelayDestroyMessages": .nothing,
                "ListenTo": .value(.ipv4), "Replicate": Form(body: .states),
            ]
        case .ftfw:
            [
                "ResendQueueSize": .number, "CommitTimeout": .number, "PurgeTimeout": .number,
                "ACKWindowSize": .number, "DisableExternalCache": .flag, "StartupResync": .flag,
                "ResendBufferSize": .number,
            ]
        case .alarm:
            [
                "RefreshTime": .number, "CacheTimeout": .number, "CommitTimeout": .number,
                "PurgeTimeout": .number, "RelaxTransitions": .nothing,
                "DelayDestroyMessages": .nothing,
            ]
        case .notrack:
            [
                "CommitTimeout": .number, "PurgeTimeout": .number, "DisableInternalCache": .flag,
                "DisableExternalCache": .flag, "StartupResync": .flag,
            ]
        case .multicast, .udp, .tcp: linkForms
        case .options:
            [
                "TCPWindowTracking": .flag,
                "ExpectationSync": Form(body: .flagOrList(.name)),
            ]
        case .general: Self.generalForms
        case .unix: ["Path": .path, "Backlog": .number]
        case .scheduler:
            ["Type": .value(.oneOf(["RR", "FIFO"])), "Priority": .value(.number(0...99))]
        case .filter:
            [
                "Protocol": Form(values: [Self.policy], body: .list(.protocolName)),
                "Address": Form(values: [Self.policy], body: .section(.addresses)),
                "State": Form(values: [Self.policy], body: .states),
            ]
        case .addresses:
            ["IPv4_address": .value(.ipv4Network), "IPv6_address": .value(.ipv6Network)]
        case .stats:
            [
                "LogFile": .value(.flagOr(.path)), "Syslog": .value(.flagOr(.name)),
                "NetlinkEventsReliable": .flag, "LogFileBufferSize": .number,
            ]
        case .helper:
            [
                "Type": Form(
                    values: [.name, .oneOf(["inet", "inet6"]), .oneOf(["tcp", "udp"])],
                    body: .section(.helperType))
            ]
        case .helperType:
            [
                "QueueNum": .number, "QueueLen": .number,
                "Policy": Form(values: [.name], body: .section(.helperPolicy)),
            ]
        case .helperPolicy: ["ExpectMax": .number, "ExpectTimeout": .number]
        }
    }

    private static let policy = Form.Value.oneOf(["Accept", "Ignore"])

    private static func link(_ section: Section) -> Form {
        Form(option: .word("Default"), body: .section(section))
    }

    private static var generalForms: KeyValuePairs<String, Form> {
        [
            "Systemd": .flag, "Nice": .value(.signedNumber), "HashSize": .number,
            "HashLimit": .number, "LogFile": .value(.flagOr(.path)),
            "Syslog": .value(.flagOr(.name)), "LockFile": .path,
            "UNIX": Form(body: .section(.unix)), "NetlinkBufferSize": .number,
            "NetlinkBufferSizeMaxGrowth": .number, "SocketBufferSize": .number,
            "SocketBufferSizeMaxGrown": .number, "SocketBufferSizeMaxGrowth": .number,
            "NetlinkOverrunResync": .value(.flagOr(.number(0...2_147_483_647))),
            "NetlinkEventsReliable": .flag, "PollSecs": .value(.number(1...2_147_483_647)),
            "EventIterationLimit": .number, "Scheduler": Form(body: .section(.scheduler)),
            "Filter": Form(
                option: .pair("From", ["Userspace", "Kernelspace"]), body: .section(.filter)),
            "Family": .value(.name), "DestroyTimeout": .number,
        ]
    }

    private var linkForms: KeyValuePairs<String, Form> {
        let port = Form.value(.number(1...65_535))
        if self == .multicast {
            return [
                "IPv4_address": .value(.ipv4), "IPv6_address": .value(.ipv6), "Group": port,
                "IPv4_interface": .value(.ipv4), "IPv6_interface": .value(.ipv6),
                "Interface": .value(.device), "SndSocketBuffer": .number,
                "RcvSocketBuffer": .number, "McastSndSocketBuffer": .number,
                "McastRcvSocketBuffer": .number, "Checksum": .flag, "Backlog": .number,
            ]
        }
        if self == .tcp {
            return [
                "IPv4_address": .value(.ipv4), "IPv6_address": .value(.ipv6),
                "IPv4_Destination_Address": .value(.ipv4),
                "IPv6_Destination_Address": .value(.ipv6), "Port": port,
                "Interface": .value(.device), "SndSocketBuffer": .number,
                "RcvSocketBuffer": .number, "Checksum": .flag, "ErrorQueueLength": .number,
            ]
        }
        return [
            "IPv4_address": .value(.ipv4), "IPv6_address": .value(.ipv6),
            "IPv4_Destination_Address": .value(.ipv4), "IPv6_Destination_Address": .value(.ipv6),
            "Port": port, "Interface": .value(.device), "SndSocketBuffer": .number,
            "RcvSocketBuffer": .number, "Checksum": .flag,
        ]
    }
}
