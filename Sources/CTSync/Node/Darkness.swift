// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The layer-2 drop and the announcements after it, as the node's role asks for them.
///
/// Thread: control. Promotion: `open`, which is all that the first forwarded packet waits for; the
/// rules are taken away and the announcements repeated by `work`, from the control loop. Demotion:
/// `close`. What fails is logged, once for each reason, shown by the status and tried again: the drop
/// is never left half-done in silence. What is taken off at the console stays off until the next
/// `close`.
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
    /// Whether following the devices has failed; until the next try nothing is heard.
    private var hasToFollow = false
    /// Whether the last opening has failed, and so the node is still dark.
    private var isStuck = false
    /// When what has failed is tried again, and how long after that.
    private var retryAt: Instant = 0
    private var retryInterval = Darkness.firstRetry
    private static let (firstRetry, lastRetry) = (250 * Duration.millisecond, 4 * Duration.second)

    /// The reasons that have been logged since all was well, without the numbers of lines in them.
    private var logged: Set<String> = []

    /// Why the node is not dark as slave, or still dark as master; empty if it is as it should be.
    private(set) var failure = ""

    /// Finds the backend, takes over what a killed daemon left; changes nothing else.
    ///
    /// - Throws: `ConfigurationError`: what is missing, and what to install.
    init(_ configuration: Configuration, log: Logger) throws(ConfigurationError) {
        self.log = log
        let open = [configuration.syncdev] + configuration.openDevices
        do throws(L2DropError) {
            drop = try L2Drop(
                syncdev: configuration.syncdev, exempt: configuration.openDevices,
                instance: Self.instance(configuration),
                backend: configuration.l2dropBackend)
        } catch {
            throw ConfigurationError("l2drop=1 is not possible: \(error)")
        }
        do throws(SystemError) {
            announcer =
                configuration.announcesNeighbours ? try NeighbourAnnouncer(excluding: open) : nil
        } catch {
            throw ConfigurationError("addresses cannot be announced after a takeover: \(error)")
        }
        do throws(L2DropError) {
            if try drop.adopt() { log.notice("l2drop is on, as the last daemon left it") }
        } catch {
            throw ConfigurationError("l2drop=1 is not possible: \(error)")
        }
    }

    /// What tells the drops of the groups of one node apart.
    static func instance(_ configuration: Configuration) -> String {
        let isUsual = configuration.controlFile == Configuration.defaultControlFile
        return isUsual ? "" : configuration.controlFile
    }

    /// What to poll for POLLIN: devices and rules that come and go.
    var events: CInt { hasToFollow ? -1 : drop.events }

    /// Which backend it is.
    var backend: String { drop.choice.rawValue }

    /// Whether nothing but the sync link is open.
    var isClosed: Bool { drop.isRaised || isStuck }

    /// Makes the node dark.
    ///
    /// - Throws: `L2DropError`: what of it could not be done.
    func close() throws(L2DropError) {
        (hasToTidy, isStuck) = (false, false)
        roundsDone = Self.rounds.count
        hasToClose = true
        try drop.raise()
        hasToClose = false
        succeeded()
    }

    /// The same for a role that is taken in any case: what fails is tried again.
    func closeOrRetry() {
        let hasFailed = hasToClose
        do throws(L2DropError) {
            try close()
            if hasFailed { log.notice("the node is dark now") }
        } catch {
            failed("the node is not dark: \(error)")
        }
    }

    /// How long after an opening its rules go for good. The kernel, or programs, may take hundreds of
    /// milliseconds for that: the first packet is waited for until then, and a demotion that follows soon,
    /// as in a quarrel of two nodes, has them back. Longer than the kernel may take to free what goes: else
    /// each change in a quarrel removes what the one before has made, and may wait for that. Chains of
    /// programs cannot be told from a drop.
    private var tidyPause: UInt64 { (drop.choice == .netdev ? 60 : 1) * Duration.second }

    /// Makes the node visible and tells the neighbours where its addresses are now.
    func open(now: Instant) {
        hasToClose = false
        do throws(L2DropError) {
            try drop.open()
            succeeded()
            retryAt = now + tidyPause
        } catch {
            isStuck = true
            failed("the node is still dark: \(error)")
        }
        hasToTidy = true
        openedAt = now
        roundsDone = 0
        announce()
    }

    /// Tells the neighbours again, as after an opening: another node was forwarding.
    func announceAgain(now: Instant) {
        guard !isClosed else { return }
        openedAt = now
        roundsDone = 0
        announce()
    }

    /// The steps of `open` in a rehearsal: frames are made and not sent, rules looked for and left.
    func rehearse(_ rehearsal: inout Rehearsal) {
        if let announcer {
            rehearsal.take("announce") {
                do throws(SystemError) {
                    let count = try announcer.announce(isRehearsal: true).sentFrames
                    return .done("\(count) frames for the neighbours made, none sent")
                } catch {
                    return .failed("the addresses cannot be announced: \(error)")
                }
            }
        }
        rehearsal.take("l2drop", isWaitedFor: false) {
            do throws(L2DropError) {
                if try drop.isWhole() {
                    return .done("dark by \(backend), all rules there; not opened")
                }
                if drop.isTakenOff { return .done("taken off at the console: nothing to open") }
                return .failed(failure.isEmpty ? "not all rules are there" : failure)
            } catch {
                return .failed("\(error)")
            }
        }
    }

    /// Takes the rules away for good.
    func remove() {
        do throws(L2DropError) {
            try drop.lift()
            if isStuck { log.notice("the node is no longer dark") }
            (hasToTidy, isStuck) = (false, false)
            succeeded()
        } catch {
            failed("\(isStuck ? "the node is still dark" : "rules of l2drop are left"): \(error)")
            if !isStuck { failure = "" }
        }
    }

    /// What is due: follow the devices, tidy up after an opening, announce again, try again.
    func work(now: Instant) {
        if !hasToFollow || now >= retryAt { follow() }
        if now >= retryAt {
            if hasToClose { closeOrRetry() }
            if hasToTidy { remove() }
        }
        if roundsDone < Self.rounds.count, now >= openedAt + Self.rounds[roundsDone] {
            roundsDone += 1
            announce()
        }
    }

    /// How long `work` may wait; nil if only an event brings something to do.
    func patience(now: Instant) -> UInt64? {
        var due: [Instant] = []
        if hasToTidy || hasToClose || hasToFollow { due.append(retryAt) }
        if roundsDone < Self.rounds.count { due.append(openedAt + Self.rounds[roundsDone]) }
        return due.min().map { $0 > now ? $0 - now : 0 }
    }

    /// Follows the devices and the rules, even if `off` has taken them.
    private func follow() {
        let wasClosed = isClosed || hasToClose
        do throws(L2DropError) {
            if try drop.eventsArrived() { log.info("l2drop covers the new devices") }
            if hasToFollow { succeeded() }
            hasToFollow = false
        } catch {
            hasToFollow = true
            failed("the node is not wholly dark: \(error)")
        }
        if wasClosed, drop.isTakenOff {
            log.notice("l2drop was taken off at the console; the next demotion puts it on again")
            hasToClose = false
            succeeded()
        }
    }

    private func succeeded() {
        failure = ""
        logged = []
        retryInterval = Self.firstRetry
    }

    private func failed(_ sentence: String) {
        retryAt = Clock.now() + retryInterval
        retryInterval = min(2 * retryInterval, Self.lastRetry)
        failure = sentence
        let reason = sentence.filter { !$0.isNumber }
        if logged.insert(reason).inserted { log.critical("\(sentence)") }
    }

    private func announce() {
        do throws(SystemError) {
            try announcer?.announce()
        } catch {
            log.warning("the addresses cannot be announced to the neighbours: \(error)")
        }
    }
}
