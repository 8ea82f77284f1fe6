// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Glibc

/// Who takes part in the measure of real connections.
enum Contender: Hashable {
    /// Nobody listens to events.
    case none
    /// The floor, with its pause.
    case bare(pauseMicroseconds: Int)
    /// The floor of the latency: events that go to the standby's kernel as they are.
    case relay
    case conntrackd
    case conntrackdDirect
    case ctSync
    /// With a key: every packet is sealed.
    case ctSyncKey
    /// Another build of it, for a before and an after in one run.
    case ctSyncBefore(binary: String)

    static let all: [Contender] = [
        .none, .bare(pauseMicroseconds: 0), .bare(pauseMicroseconds: 300),
        .bare(pauseMicroseconds: 1_000), .bare(pauseMicroseconds: 3_000), .relay, .conntrackd,
        .conntrackdDirect, .ctSync, .ctSyncKey,
    ]

    /// Its name in tables and results.
    var name: String {
        switch self {
        case .none: "none"
        case .bare(let pause): "bare listener, pause \(pause) us"
        case .relay: "bare relay"
        case .conntrackd: "conntrackd, external cache"
        case .conntrackdDirect: "conntrackd, DisableExternalCache"
        case .ctSync: "ct_sync"
        case .ctSyncKey: "ct_sync, with a key"
        case .ctSyncBefore: "ct_sync, before"
        }
    }

    /// The one of this word: none, bare-300, relay, conntrackd, conntrackd-direct, ct_sync,
    /// ct_sync-key.
    init?(word: String) {
        switch word {
        case "none": self = .none
        case "relay": self = .relay
        case "conntrackd": self = .conntrackd
        case "conntrackd-direct": self = .conntrackdDirect
        case "ct_sync": self = .ctSync
        case "ct_sync-key": self = .ctSyncKey
        default:
            guard word.hasPrefix("bare-"), let pause = Int(word.dropFirst(5)) else { return nil }
            self = .bare(pauseMicroseconds: pause)
        }
    }

    /// Whether the standby's kernel has the entries at once.
    var isDirect: Bool { self == .relay || contestant?.isDirect ?? false }

    private var contestant: Contestant? {
        switch self {
        case .none, .bare, .relay: nil
        case .conntrackd: .conntrackd
        case .conntrackdDirect: .conntrackdDirect
        case .ctSync, .ctSyncKey, .ctSyncBefore: .ctSync
        }
    }

    /// Brings it up on two firewalls that masquerade. What a connection leaves goes after three seconds,
    /// so that ends are measured as well as beginnings.
    func start() throws -> Contest {
        guard case .ctSyncBefore(let binary) = self else { return try contest() }
        let variable = "CT_SYNC_BINARY"
        let named = getenv(variable).map { String(cString: $0) }
        setenv(variable, binary, 1)
        defer { if let named { setenv(variable, named, 1) } else { unsetenv(variable) } }
        return try contest()
    }

    private func contest() throws -> Contest {
        try Contest(
            contestant, translation: .masquerade,
            settings: [
                "net.netfilter.nf_conntrack_tcp_timeout_time_wait": 3,
                "net.netfilter.nf_conntrack_udp_timeout": 3,
                "net.netfilter.nf_conntrack_udp_timeout_stream": 3,
            ],
            hasKey: self == .ctSyncKey)
    }
}
