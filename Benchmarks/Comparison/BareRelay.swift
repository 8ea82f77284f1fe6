// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import CTSync
import ClusterSupport
import Glibc
import Synchronization

/// The floor of the latency: each event goes to the standby as it is, and from there into its kernel as a
/// request to create the entry. Nothing is read, kept, ordered or repaired.
///
/// Two threads, as many wake-ups as there must be between two kernels.
final class BareRelay: Sendable {
    private static let port: UInt16 = 3_999
    /// Bytes of `nlmsghdr` (uapi/linux/netlink.h), and the most that an event has.
    private static let headerBytes = 16
    private static let eventBytes = 2_048
    /// NETLINK_NETFILTER, uapi/linux/netlink.h.
    private static let netfilter: CInt = 12

    private let running = Box(Atomic(true))
    private let threads: [Background]

    init(_ contest: Contest) throws {
        let running = running
        let place = Endpoint(Plan.sync(contest.standby.id), Self.port)
        let target = try Socket.datagrams(from: place, in: contest.standby.host)
        let requests = try contest.standby.host.inside { try Self.requests() }
        let events = try contest.master.host.inside {
            Box(Mutex(try EventSocket(receiveBufferBytes: 32 << 20)))
        }
        let source = try Socket.datagrams(to: place, in: contest.master.host)
        threads = [
            Background(named: "relay") {
                events.value.withLock { events in
                    Self.pass(running, from: events.raw, to: source.raw, Self.isTaken)
                }
            },
            Background(named: "create") {
                Self.pass(running, from: target.raw, to: requests, Self.makeRequest)
                close(requests)
            },
        ]
    }

    func stop() {
        running.value.store(false, ordering: .relaxed)
        for thread in threads { thread.join() }
    }

    /// A socket for requests that nobody answers.
    private static func requests() throws -> CInt {
        let raw = socket(AF_NETLINK, CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), netfilter)
        guard raw >= 0 else { throw CallFailed("socket") }
        return raw
    }

    private static func pass(
        _ running: Box<Atomic<Bool>>, from source: CInt, to target: CInt,
        _ prepare: (UnsafeMutableRawBufferPointer) -> Bool
    ) {
        withUnsafeTemporaryAllocation(byteCount: eventBytes, alignment: 8) { bytes in
            while running.value.load(ordering: .relaxed) {
                guard ctsync_wait(source, -1, 100_000_000) != 0 else { continue }
                while true {
                    let count = recv(source, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT))
                    guard count > 0 else { break }
                    let message = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
                    guard count > headerBytes, prepare(message) else { continue }
                    _ = send(target, message.baseAddress, count, CInt(MSG_DONTWAIT))
                }
            }
        }
    }

    /// Whether an event says that an entry is there: IPCTNL_MSG_CT_NEW.
    private static func isTaken(_ event: UnsafeMutableRawBufferPointer) -> Bool {
        event.loadUnaligned(fromByteOffset: 4, as: UInt16.self) == createType
    }

    /// Makes an event the request that it is the news of: NLM_F_REQUEST and NLM_F_CREATE.
    private static func makeRequest(_ event: UnsafeMutableRawBufferPointer) -> Bool {
        event.storeBytes(of: 0x401, toByteOffset: 6, as: UInt16.self)
        event.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        return true
    }

    /// NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_NEW.
    private static let createType: UInt16 = 0x100
}
