// SPDX-License-Identifier: GPL-2.0-or-later

/// Decides when it is worth to look at the device itself, which of the packets seen there tell of a fault,
/// and for how long they count.
///
/// A value without input or output.
struct SightingJudge {
    /// How long a sighting counts.
    private static let memory = 5 * Duration.second
    /// How long a master looks at other devices.
    private static let search = 30 * Duration.second
    /// How long nothing may have come to the socket before a rule is blamed.
    private static let quiet = 1_500 * Duration.millisecond

    private var last: (sighting: Sighting, at: Instant)?
    /// When packets came to the socket last, and how many there were then.
    private var heard: (at: Instant, packets: UInt64) = (0, 0)
    private var (isQuiet, isSlave) = (false, true)

    /// What was seen lately; nil if nothing was.
    func sighting(_ now: Instant) -> Sighting? {
        guard let last, now < last.at + Self.memory else { return nil }
        return last.sighting
    }

    /// Takes how the node is.
    ///
    /// - Returns: whether to look.
    mutating func begin(_ report: NodeReport, now: Instant) -> Bool {
        if report.link.packetsIn != heard.packets { heard = (now, report.link.packetsIn) }
        isQuiet = now >= heard.at + Self.quiet
        isSlave = report.role == .slave
        if !report.needsWitness { last = nil }
        return report.needsWitness
    }

    /// Whether to look at the other devices too: nothing has come by this one since the start. A master, whose
    /// devices carry more than a slave's, does so for a while only.
    func isLost(_ report: NodeReport, now: Instant) -> Bool {
        isQuiet && report.peers.isEmpty && sighting(now).map { $0.isElsewhere } != false
            && (isSlave || (report.aloneAge ?? 0) < Self.search)
    }

    /// Whether a packet that was seen tells of a fault.
    func counts(_ sighting: Sighting) -> Bool {
        (sighting.isMaster || !isSlave) && (sighting.kind != .blocked || isQuiet)
    }

    /// Takes one that does.
    mutating func take(_ seen: Sighting, now: Instant) {
        if let last = sighting(now), last.isIPv4, !seen.isIPv4 { return }
        last = (seen, now)
    }
}

/// Opens a `LinkWitness` while nobody is heard, and keeps what it has seen for a while.
///
/// Thread: control.
struct DeviceWatch: ~Copyable {
    private var judge = SightingJudge()
    private var witness: LinkWitness?
    private var elsewhere: LinkWitness?
    private var index: UInt32 = 0
    private var isOpen = false
    private var isOpenElsewhere = false

    /// What was seen lately; nil if nothing was.
    func sighting(_ now: Instant) -> Sighting? { judge.sighting(now) }

    /// Looks, if it is needed.
    ///
    /// - Parameter devices: the numbers of all sync devices.
    mutating func look(
        _ report: NodeReport, _ socket: SyncSocket, devices: [UInt32], now: Instant
    ) {
        guard judge.begin(report, now: now) else { return close() }
        let device = socket.device.index
        if index != device { close() }
        index = device
        guard isOpen else {
            do throws(SystemError) {
                witness = try LinkWitness(index: device)
                isOpen = true
            } catch {
                // The device is gone, which is said; or there is no memory: it is tried again.
            }
            return
        }
        let expected = Sighting.Expectation(
            port: report.link.port,
            hosts: socket.destinations.map { HostAddress($0.family, $0.address) },
            isMulticast: socket.isMulticast)
        let judge = judge
        if let found = witness?.look(expected, isWanted: { seen, _ in judge.counts(seen) }) {
            self.judge.take(found.seen, now: now)
        }
        lookElsewhere(report, expected, devices, now: now)
    }

    /// Looks at the devices that are no sync devices, if nothing comes by those.
    private mutating func lookElsewhere(
        _ report: NodeReport, _ expected: Sighting.Expectation, _ devices: [UInt32], now: Instant
    ) {
        guard judge.isLost(report, now: now) else { return closeElsewhere() }
        guard isOpenElsewhere else {
            do throws(SystemError) {
                elsewhere = try LinkWitness(port: expected.port)
                isOpenElsewhere = true
            } catch {
                // There is no memory: it is tried again.
            }
            return
        }
        let judge = judge
        let found = elsewhere?.look(expected) { seen, device in
            seen.nodeID != report.nodeID && !devices.contains(device) && judge.counts(seen)
        }
        guard let found, let name = LinkWitness.name(of: found.device) else { return }
        var seen = found.seen
        seen.kind = .anotherDevice(name)
        self.judge.take(seen, now: now)
    }

    private mutating func close() {
        witness = nil
        isOpen = false
        closeElsewhere()
    }

    private mutating func closeElsewhere() {
        elsewhere = nil
        isOpenElsewhere = false
    }
}

extension NodeReport {
    /// Whether it is worth a look at the device itself: no other node is heard.
    var needsWitness: Bool {
        role == .slave ? !isMasterHeard : aloneAge != nil && !peers.contains { $0.isHeard }
    }
}
