// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// What the control thread does for the sync link: follows the device, whatever becomes of it, keeps
/// the memberships alive and the link's rules in place.
///
/// 1. A notification, or a second that has passed, is a reason to look at the device of the name. A
///    new one is tied to; one that was renamed is kept; what else has changed is taken over.
/// 2. While no other node is heard the groups are joined again every few seconds: a switch that
///    snoops and gets no answers to its queries forgets who is a member.
/// 3. Rules that somebody has removed are loaded again.
///
/// Each trouble is logged once, and once more when it is over. Thread: control.
final class LinkUpkeep {
    /// Silence after which the groups are joined again, and how often that is done.
    static let rejoinInterval = 3 * Duration.second
    /// How long a peer counts that was heard.
    static let heardInterval = 5 * Duration.second
    private static let lookInterval = 1 * Duration.second
    private static let rulesInterval = 2 * Duration.second

    /// Where the device is.
    private enum Place: Equatable {
        case present
        /// It has another name now.
        case renamed(String)
        case gone
    }

    let socket: SyncSocket
    private let name: String
    private let port: UInt16
    private let log: Logger
    private var watch: LinkWatch?
    private var rules: LinkRules?
    private var place: Place
    private var troubles: LinkTroubles
    private var lookDue: Instant = 0
    private var rulesDue: Instant = 0
    private var rejoinDue: Instant = 0

    /// Opens the socket, loads the link's rules and joins the groups.
    ///
    /// - Parameters:
    ///   - group: nil for the default ones.
    ///   - peers: the other nodes; empty for a group.
    ///   - link: the place of the device among several.
    /// - Throws: `SystemError` of the socket calls.
    init(
        device: SyncDevice, group: HostAddress?, peers: [HostAddress], port: UInt16,
        link: Int = 0, log: Logger
    ) throws(SystemError) {
        name = device.name
        self.port = port
        self.log = log
        troubles = LinkTroubles(log)
        place = device.index == 0 ? .gone : .present
        socket = try SyncSocket(
            device: device, group: group, peers: peers, port: port, place: link)
        // First the watch, then the look: nothing is missed in between.
        watch = try LinkWatch()
        // Before a packet can come: it would be tracked.
        protect()
        show(socket.join())
        socket.use(heard: [])
        let kind = socket.isMulticast ? "group" : "peers"
        let hosts = socket.destinations.map {
            HostAddress($0.family, $0.address).description
        }.joined(separator: ", ")
        log.info(
            """
            sync link \(name), \(device.addresses); \(kind) \(hosts), port \(port), packets of \
            at most \(socket.packetByteCount) bytes
            """)
    }

    // MARK: Rules

    /// Loads the rules that keep the link to itself; without them only the socket's filter does.
    ///
    /// - Parameter isQuiet: they are loaded again because of another link.
    func protect(isQuiet: Bool = false) {
        // A device that is not there yet.
        guard socket.device.index != 0 else { return }
        do throws(NftablesError) {
            if let rules {
                if try rules.restore(index: socket.device.index), !isQuiet {
                    log.notice("the rules of the sync link are loaded again")
                }
            } else {
                rules = try LinkRules(index: socket.device.index, port: port)
            }
            troubles.end(.rules)
        } catch {
            troubles.tell(
                .rules,
                """
                sync traffic is tracked like any other, as its rules cannot be loaded (\(error)); \
                add a notrack rule for UDP port \(port) on \(name)
                """)
        }
    }

    /// Removes the rules.
    func remove() {
        do throws(NftablesError) {
            try rules?.remove()
        } catch {
            log.warning("the rules of the sync link cannot be removed: \(error)")
        }
    }

    // MARK: The loop

    /// What to poll for POLLIN; then call `work`.
    var events: [CInt] { [watch?.raw ?? -1, rules?.events ?? -1] }

    /// Does what is due.
    ///
    /// - Parameters:
    ///   - heard: where other nodes' packets came from, and when last; by any link.
    /// - Returns: whether there is another device: the rules of other links are to let it be.
    func work(now: Instant, heard everywhere: [(address: PeerAddress, at: Instant)]) -> Bool {
        let heard = everywhere.filter { Int($0.address.link) == socket.place }
        let before = socket.device.index
        let news = readWatch()
        if news.hasChanged || now >= lookDue {
            lookDue = now + Self.lookInterval
            look(news)
        }
        if hasRuleNews() || now >= rulesDue {
            rulesDue = now + Self.rulesInterval
            protect()
        }
        var families: FamilySet = []
        for peer in heard where now < peer.at + Self.heardInterval {
            families.insert(FamilySet(peer.address.family))
        }
        socket.use(heard: families)
        let lastHeard = heard.map(\.at).max() ?? 0
        if now >= lastHeard + Self.rejoinInterval, now >= rejoinDue, place != .gone {
            // Not at once at the start: the groups have just been joined.
            if rejoinDue > 0 { show(socket.joinAgain()) }
            rejoinDue = now + Self.rejoinInterval
        }
        return socket.device.index != before
    }

    private func readWatch() -> LinkWatch.News {
        do throws(SystemError) {
            if watch == nil {
                watch = try LinkWatch()
                troubles.end(.watch)
                return LinkWatch.News(hasChanged: true, isIncomplete: true)
            }
            return try watch?.drain() ?? LinkWatch.News()
        } catch {
            troubles.tell(.watch, "changes of the sync device are noticed late: \(error)")
            watch = nil
            return LinkWatch.News()
        }
    }

    private func hasRuleNews() -> Bool {
        do throws(SystemError) {
            return try rules?.hasNews() ?? false
        } catch {
            return true
        }
    }

    // MARK: The device

    private func look(_ news: LinkWatch.News) {
        let tied = socket.device
        let wasRemoved = news.isIncomplete || news.removed.contains(tied.index)
        do throws(SystemError) {
            let device = try SyncDevice(named: name)
            if device.index != tied.index || wasRemoved || place == .gone {
                try follow(device, after: tied)
            } else {
                if place != .present { log.notice("the sync device is called \(name) again") }
                take(device, after: tied)
            }
            place = .present
            troubles.end(.device)
        } catch {
            guard error.errno == ENODEV else {
                return troubles.tell(.device, "the sync device \(name) cannot be used: \(error)")
            }
            lookForRenamed(tied, wasRemoved)
        }
    }

    private func follow(_ device: SyncDevice, after tied: SyncDevice) throws(SystemError) {
        try socket.tie(to: device)
        show(socket.join())
        // After a flood of notifications it may well be the same one.
        if device.index != tied.index || place != .present {
            log.notice("the sync device \(name) was replaced; the new one is used")
        }
        tell(device, after: tied)
        protect()
    }

    private func take(_ device: SyncDevice, after tied: SyncDevice) {
        guard device != tied else { return }
        socket.record(device)
        // With an MTU below 1,280 the kernel has taken IPv6 from it, memberships included.
        show(device.mtu == tied.mtu ? socket.join() : socket.joinAgain())
        tell(device, after: tied)
    }

    /// The kernel knows the device by its number, and so does the socket: under another name it is
    /// still the sync device, until there is one of its own name.
    private func lookForRenamed(_ tied: SyncDevice, _ wasRemoved: Bool) {
        var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard !wasRemoved, place != .gone, if_indextoname(tied.index, &buffer) != nil else {
            if place != .gone { log.warning("the sync device \(name) is gone") }
            place = .gone
            return
        }
        let current = String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        if place != .renamed(current) {
            log.warning("the sync device \(name) was renamed to \(current); it is still used")
        }
        place = .renamed(current)
        do throws(SystemError) {
            take(try SyncDevice(named: current), after: tied)
        } catch {
            // Gone in between: the next look says so.
        }
    }

    private func tell(_ device: SyncDevice, after old: SyncDevice) {
        if device.mtu != old.mtu {
            log.notice(
                """
                the MTU of the sync device is \(device.mtu) bytes now; packets have at most \
                \(socket.packetByteCount)
                """)
        }
        if device.mtu < SyncSocket.smallestMTU {
            troubles.tell(.mtu, "an MTU of \(device.mtu) bytes is less than the sync link needs")
        } else {
            troubles.end(.mtu)
        }
        if device.networks != old.networks {
            log.info("addresses of the sync device: \(device.addresses)")
        }
        if socket.configured.isDisjoint(with: device.families) {
            troubles.tell(.addresses, "the sync device has no address of the sync link's family")
        } else {
            troubles.end(.addresses)
        }
    }

    // MARK: Troubles

    private func show(_ failures: [(HostAddress, SystemError)]) {
        let groups = socket.destinations.map { HostAddress($0.family, $0.address) }
        for group in groups where !failures.contains(where: { $0.0 == group }) {
            troubles.end(.membership(group))
        }
        for (group, error) in failures { troubles.tell(.membership(group), "\(error)") }
    }
}
