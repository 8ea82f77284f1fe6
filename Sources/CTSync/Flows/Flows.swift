// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// `ct_sync flows`: connections that begin, change and end, as lines or as summaries.
///
/// A program of its own beside the daemon or without one; one thread, which polls the event socket and
/// the signals. It ends with SIGTERM, SIGINT, SIGHUP without a log, or its limit.
package final class Flows {
    private let settings: FlowSettings
    private let criteria: ReplicationRule
    private let reader: FlowReader
    private let output: FlowOutput
    private let signals: Descriptor
    private let say: (String) -> Void
    private var shown: UInt64 = 0
    private var toldMissed: UInt64 = 0
    private var tally = FlowTally()
    private var summaryBegan = Clock.now()
    private var isEnding = false

    /// Runs until it is told to end.
    ///
    /// - Parameter say: takes a sentence for standard error.
    /// - Throws: `ConfigurationError` for what cannot be done, without rights for example.
    package static func run(
        _ settings: FlowSettings, say: @escaping (String) -> Void
    ) throws(ConfigurationError) {
        let criteria: ReplicationRule
        do throws(RuleMistake) {
            criteria = try ReplicationRule(criteria: settings.criteria)
        } catch {
            throw ConfigurationError(error.sentence, at: .commandLine)
        }
        try Capabilities().check(of: "ct_sync flows")
        do throws(SystemError) {
            let flows = try Flows(settings, criteria, say)
            flows.remark()
            try flows.loop()
        } catch {
            let isForbidden = error.errno == EPERM || error.errno == EACCES
            throw ConfigurationError("\(error)", at: isForbidden ? .notAllowed : .notReady)
        }
    }

    private init(
        _ settings: FlowSettings, _ criteria: ReplicationRule, _ say: @escaping (String) -> Void
    ) throws(SystemError) {
        self.settings = settings
        self.criteria = criteria
        self.say = say
        signals = try Descriptor("signalfd") { ctsync_signalfd() }
        reader = try FlowReader(criteria, bufferBytes: settings.bufferBytes)
        output = try FlowOutput(path: settings.log, say: say)
    }

    /// Says what of the kernel's settings leaves something out.
    private func remark() {
        if let events = Self.setting("nf_conntrack_events"), events != 1 {
            say(
                events == 0
                    ? "net.netfilter.nf_conntrack_events is 0: there will be no events"
                    : "connections that are older than this program may end unseen: "
                        + "net.netfilter.nf_conntrack_events is \(events), not 1")
        }
        if Self.setting("nf_conntrack_acct") == 0 {
            say("packets and bytes are not counted: net.netfilter.nf_conntrack_acct is 0")
        }
        if settings.summaryInterval == nil, Self.setting("nf_conntrack_timestamp") == 0 {
            say("durations are not known: net.netfilter.nf_conntrack_timestamp is 0")
        }
    }

    private static func setting(_ name: String) -> UInt64? {
        do throws(SystemError) {
            return try KernelSettings.read(name)
        } catch {
            return nil
        }
    }

    // MARK: The loop

    private func loop() throws(SystemError) {
        while !isEnding {
            wait()
            try readSignals()
            try drain()
            if let interval = settings.summaryInterval, Clock.now() >= summaryBegan + interval {
                try summarize(interval)
            }
            try output.flush(unless: signals.raw)
        }
        if reader.missed > 0 {
            let events = Words.count(reader.missed, "event was", "events were")
            say("\(events) missed; --buffer makes room for more")
        }
    }

    private func wait() {
        var polled = [
            pollfd(fd: reader.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
        ]
        var milliseconds: CInt = -1
        if let interval = settings.summaryInterval {
            let now = Clock.now()
            let rest = max(summaryBegan + interval, now) - now
            milliseconds = CInt(clamping: rest / Duration.millisecond + 1)
        }
        _ = poll(&polled, 2, milliseconds)
    }

    private func readSignals() throws(SystemError) {
        var information = [UInt8](repeating: 0, count: 128)
        let count = try retryingNonBlocking("signalfd") {
            read(signals.raw, &information, information.count)
        }
        guard count != nil else { return }
        let number = information.withUnsafeBytes { $0.load(as: UInt32.self) }
        if number == UInt32(SIGHUP), output.isLog {
            output.reopen()
        } else {
            isEnding = true
        }
    }

    private func drain() throws(SystemError) {
        try reader.drain { event in
            if settings.summaryInterval != nil {
                tally.add(event)
            } else if settings.kinds.contains(event.kind) {
                show(event.text)
            }
        }
        guard settings.summaryInterval == nil, reader.missed > toldMissed else { return }
        let time = FlowTime.text(microseconds: Clock.wallMicroseconds())
        show("time=\(time) event=missed count=\(reader.missed - toldMissed)")
        toldMissed = reader.missed
    }

    private func show(_ line: String) {
        guard !isEnding else { return }
        add(settings.isJSON ? EntryLine.json(line) : line)
    }

    private func add(_ line: String) {
        output.add(line)
        shown += 1
        if shown == settings.limit { isEnding = true }
    }

    /// Walks the table, events in between, and shows what was counted.
    private func summarize(_ interval: UInt64) throws(SystemError) {
        let dump = try TableDump()
        try dump.start()
        var isMore = true
        while isMore {
            isMore = try dump.step { entry in
                if criteria.holds(for: copy entry) { tally.add(copy entry) }
            }
            try drain()
        }
        let now = Clock.now()
        let summary = FlowSummary(
            time: Clock.wallMicroseconds(), interval: now - summaryBegan, tally: tally,
            missed: reader.missed - toldMissed)
        add(settings.isJSON ? summary.json : summary.text)
        toldMissed = reader.missed
        tally = FlowTally()
        summaryBegan = now
    }
}
