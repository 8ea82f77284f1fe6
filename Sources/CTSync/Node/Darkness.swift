// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The layer-2 drop and the announcements after it, as the node's role asks for them.
///
/// Thread: control. Promotion: `open`, which is all that the first forwarded packet waits for; the
/// rules are taken away and the announcements repeated by `work`, from the control loop. Demotion:
/// `close`. What fails is logged and tried again: the drop is never left half-done in silence.
final class Darkness {
    /// How long after a promotion the addresses are announced again: switches lose frames too.
    private static let rounds = [100, 500, 1_000, 2_000, 4_000].map {
        UInt64($0) * Duration.millisecond
    }

    private let drop: L2Drop
    private let announcer: NeighbourAnnouncer?
    private let log: Logger
    private var openedAt: Instant = 0
    private var roundsDone = rounds.count
    private var hasToTidy = false
    private var hasToClose = false

    /// Finds the backend, takes over what a killed daemon left; changes nothing else.
    ///
    /// - Throws: `ConfigurationError`: what is missing, and what to install.
    init(_ configuration: Configuration, log: Logger) throws(ConfigurationError) {
        self.log = log
        let open = [configuration.syncdev] + configuration.l2dropExempt
        let isUsual = configuration.controlFile == Configuration.defaultControlFile
        do throws(L2DropError) {
            drop = try L2Drop(
                syncdev: configuration.syncdev, exempt: configuration.l2dropExempt,
                instance: isUsual ? "" : configuration.controlFile,
                backend: configuration.l2dropBackend)
        } catch {
            throw ConfigurationError("l2drop=1 is not possible: \(error)")
        }
        do throws(SystemError) {
            announcer =
                configuration.announcesNeighbours ? try NeighbourAnnouncer(excluding: open) : nil
        } catch {
            throw ConfigurationError("neighbours cannot be told of a takeover: \(error)")
        }
        do throws(L2DropError) {
            if try drop.adopt() { log.notice("l2drop is on, as the last daemon left it") }
        } catch {
            throw ConfigurationError("l2drop=1 is not possible: \(error)")
        }
    }

    /// What to poll for POLLIN: devices and rules that come and go.
    var events: CInt { drop.events }

    /// Which backend it is.
    var backend: String { drop.choice.rawValue }

    /// Whether nothing but the sync link is open.
    var isClosed: Bool { drop.isRaised }

    /// Makes the node dark.
    ///
    /// - Throws: `L2DropError`: what of it could not be done.
    func close() throws(L2DropError) {
        hasToTidy = false
        roundsDone = Self.rounds.count
        hasToClose = true
        try drop.raise()
        hasToClose = false
    }

    /// Makes the node visible and tells the neighbours where its addresses are now.
    func open(now: Instant) {
        hasToClose = false
        do throws(L2DropError) {
            try drop.open()
        } catch {
            log.critical("l2drop is still on: \(error)")
        }
        hasToTidy = true
        openedAt = now
        roundsDone = 0
        announce()
    }

    /// Takes the rules away for good.
    func remove() {
        do throws(L2DropError) {
            try drop.lift()
            hasToTidy = false
        } catch {
            log.error("rules of l2drop are left: \(error)")
        }
    }

    /// What is due: follow the devices, tidy up after an opening, announce again, try again.
    func work(now: Instant) {
        do throws(L2DropError) {
            if hasToClose { try close() }
            if try drop.eventsArrived() { log.info("l2drop covers the devices of now") }
        } catch {
            log.error("l2drop is not whole: \(error)")
        }
        if hasToTidy { remove() }
        if roundsDone < Self.rounds.count, now >= openedAt + Self.rounds[roundsDone] {
            roundsDone += 1
            announce()
        }
    }

    /// How long `work` may wait; nil where only an event brings something to do.
    func patience(now: Instant) -> UInt64? {
        if hasToTidy { return 0 }
        guard roundsDone < Self.rounds.count else { return nil }
        let due = openedAt + Self.rounds[roundsDone]
        return due > now ? due - now : 0
    }

    private func announce() {
        do throws(SystemError) {
            try announcer?.announce()
        } catch {
            log.warning("the neighbours have not been told: \(error)")
        }
    }
}
