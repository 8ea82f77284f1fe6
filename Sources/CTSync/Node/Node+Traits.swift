// SPDX-License-Identifier: GPL-2.0-or-later

extension KernelTrait {
    /// A sysctl's name; empty for what is none.
    var name: String {
        let own = "nf_conntrack_"
        switch self {
        case .conntrackMax: return own + "max"
        case .buckets: return own + "buckets"
        case .events: return own + "events"
        case .tcpLoose: return own + "tcp_loose"
        case .tcpBeLiberal: return own + "tcp_be_liberal"
        case .checksum: return own + "checksum"
        case .accounting: return own + "acct"
        case .forwarding: return "net.ipv4.ip_forward"
        case .forwarding6: return "net.ipv6.conf.all.forwarding"
        case .reversePath: return "net.ipv4.conf.all.rp_filter"
        case .genericTimeout: return own + "generic_timeout"
        case .icmpTimeout: return own + "icmp_timeout"
        case .icmp6Timeout: return own + "icmpv6_timeout"
        case .udpTimeout: return own + "udp_timeout"
        case .udpStreamTimeout: return own + "udp_timeout_stream"
        case .synSentTimeout: return own + "tcp_timeout_syn_sent"
        case .synReceivedTimeout: return own + "tcp_timeout_syn_recv"
        case .establishedTimeout: return own + "tcp_timeout_established"
        case .finWaitTimeout: return own + "tcp_timeout_fin_wait"
        case .closeWaitTimeout: return own + "tcp_timeout_close_wait"
        case .lastAckTimeout: return own + "tcp_timeout_last_ack"
        case .timeWaitTimeout: return own + "tcp_timeout_time_wait"
        case .closeTimeout: return own + "tcp_timeout_close"
        default: return ""
        }
    }

    /// As sysctl(8) takes it.
    var key: String { name.hasPrefix("net.") ? name : "net.netfilter." + name }

    /// The trait of something that is lacking.
    init?(lack: String) {
        guard let trait = Self.allCases.first(where: { $0.lack == lack }) else { return nil }
        self = trait
    }

    /// What is lacking, as the status calls it; nil for other traits.
    var lack: String? {
        switch self {
        case .noNATChain: "nat_chain"
        case .noNAT: "nat"
        case .noLabels: "labels"
        case .noAddress: "address"
        case .noHelper: "helper"
        default: nil
        }
    }
}

extension Traits {
    /// The sysctls of this machine; the namespace is the calling thread's.
    static func ofThisMachine() -> Traits {
        var traits = Traits()
        for trait in KernelTrait.sysctls {
            do throws(SystemError) {
                let path = "/proc/sys/" + trait.key.replacing(".", with: "/")
                let digits = try TextFile.read(path).prefix { $0.isNumber }
                traits[trait] = UInt64(digits).map { UInt32(clamping: $0) }
            } catch {
                // Not in this kernel, or its module is not there: not known.
            }
        }
        return traits
    }

    /// Adds what a slave lacks, and its last comparison.
    mutating func add(_ report: NodeReport) {
        guard report.role == .slave else { return }
        for trait in KernelTrait.allCases where trait.lack != nil { self[trait] = 0 }
        for lack in report.lacks {
            guard let trait = KernelTrait(lack: lack.what) else { continue }
            self[trait] = UInt32(clamping: UInt64(self[trait] ?? 0) + lack.count)
        }
        guard let verified = report.verified else { return }
        self[.verifiedEntries] = UInt32(clamping: verified.entries)
        self[.verifiedDiffered] = UInt32(clamping: verified.differed)
        self[.verifiedAdded] = UInt32(clamping: verified.added)
        // In steps: the link's thread is told of changes only.
        let step = 5 * Duration.second
        self[.verifiedAge] = UInt32(clamping: verified.age / step * 5)
    }
}

/// What is told to the other nodes of this one's kernel.
struct TraitsUpkeep {
    /// Between two looks at the sysctls.
    private static let interval = 5 * Duration.second

    private var due: Instant = 0
    /// The sysctls.
    private(set) var own = Traits()
    private var told = Traits()

    /// Reads the sysctls, if it is time.
    mutating func look(now: Instant) {
        guard now >= due else { return }
        due = now + Self.interval
        own = .ofThisMachine()
    }

    /// What is to be told now; nil if it is what was told.
    mutating func change(_ report: NodeReport) -> Traits? {
        var next = own
        next.add(report)
        guard next != told else { return nil }
        told = next
        return next
    }
}
