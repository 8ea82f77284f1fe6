// SPDX-License-Identifier: GPL-2.0-or-later

/// Opens a `LinkWitness` while nobody is heard, and keeps what it has seen for a while.
///
/// Thread: control.
struct DeviceWatch: ~Copyable {
    /// How long a sighting counts.
    private static let memory = 5 * Duration.second
    /// How long nothing may have come to the socket before a rule is blamed.
    private static let quiet = 1_500 * Duration.millisecond

    private var witness: LinkWitness?
    private var index: UInt32 = 0
    private var last: (sighting: Sighting, at: Instant)?
    /// When packets came to the socket last, and how many there were then.
    private var heard: (at: Instant, packets: UInt64) = (0, 0)

    private var isOpen = false

    /// What was seen lately; nil if nothing was.
    func sighting(_ now: Instant) -> Sighting? {
        guard let last, now < last.at + Self.memory else { return nil }
        return last.sighting
    }

    /// Looks, if it is needed.
    mutating func look(_ report: NodeReport, _ socket: SyncSocket, now: Instant) {
        if report.link.packetsIn != heard.packets { heard = (now, report.link.packetsIn) }
        guard report.needsWitness else {
            close()
            last = nil
            return
        }
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
        let isQuiet = now >= heard.at + Self.quiet
        let isSlave = report.role == .slave
        let seen = witness?.look(expected) { sighting in
            (sighting.isMaster || !isSlave) && (sighting.kind != .blocked || isQuiet)
        }
        guard let seen else { return }
        if let last = sighting(now), last.isIPv4, !seen.isIPv4 { return }
        last = (seen, now)
    }

    private mutating func close() {
        witness = nil
        isOpen = false
    }
}

extension NodeReport {
    /// Whether it is worth a look at the device itself: no other node is heard.
    var needsWitness: Bool {
        role == .slave ? !isMasterHeard : aloneAge != nil && !peers.contains { $0.isHeard }
    }
}
