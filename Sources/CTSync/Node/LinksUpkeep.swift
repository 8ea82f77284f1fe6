// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The upkeep of all sync devices, one (`LinkUpkeep`) for each.
///
/// The rules of each link let the others be, so those of all are loaded again when one of several is
/// another device. Thread: control.
struct LinksUpkeep {
    private let upkeeps: [LinkUpkeep]

    /// Opens the sockets, loads the rules and joins the groups.
    ///
    /// - Throws: `SystemError` of the socket calls; nothing is left then.
    init(_ plan: LinkPlan, _ configuration: Configuration, log: Logger) throws(SystemError) {
        var upkeeps: [LinkUpkeep] = []
        do throws(SystemError) {
            for (place, link) in plan.links.enumerated() {
                upkeeps.append(
                    try LinkUpkeep(
                        device: link.device, group: configuration.group, peers: link.peers,
                        port: configuration.port, link: place, log: log))
            }
        } catch {
            for upkeep in upkeeps { upkeep.remove() }
            throw error
        }
        self.upkeeps = upkeeps
        for sentence in plan.troubles { log.warning("\(sentence); the other sync links are used") }
        protectEach()
    }

    /// In the order of the devices.
    var sockets: [SyncSocket] { upkeeps.map(\.socket) }

    /// What to poll for POLLIN; then call `work`.
    var events: [CInt] { upkeeps.flatMap(\.events) }

    /// Does what is due.
    ///
    /// - Parameter heard: where other nodes' packets came from, and when last.
    func work(now: Instant, heard: [(address: PeerAddress, at: Instant)]) {
        var isAnother = false
        for upkeep in upkeeps where upkeep.work(now: now, heard: heard) { isAnother = true }
        if isAnother { protectEach() }
    }

    private func protectEach() {
        guard upkeeps.count > 1 else { return }
        for upkeep in upkeeps { upkeep.protect(isQuiet: true) }
    }

    /// Removes the rules.
    func remove() {
        for upkeep in upkeeps { upkeep.remove() }
    }
}
