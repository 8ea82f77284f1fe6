// SPDX-License-Identifier: GPL-2.0-or-later

/// Finds the transitions between one status and the next: for those who ask the daemon now and then.
package struct TransitionWatch {
    /// What is compared, and since when it is so.
    private struct Aspect {
        var value: String
        var since: UInt64
    }

    private var aspects: [String: Aspect] = [:]
    private var peers: Set<String> = []
    private var isFirst = true

    /// One that has seen nothing yet: the first status is told as it is.
    package init() {}

    /// The transitions since the status before.
    ///
    /// - Parameters:
    ///   - status: nil if the daemon does not answer.
    ///   - trouble: why it does not.
    ///   - time: in microseconds since 1970.
    package mutating func look(
        _ status: StatusReport?, trouble: String = "", time: UInt64
    ) -> [Transition] {
        var found: [Transition] = []
        defer { isFirst = false }
        if let after = change("daemon", status == nil ? "absent" : "there", time),
            !isFirst || status == nil
        {
            let text =
                status == nil ? "the daemon does not answer: \(trouble)" : "the daemon answers"
            found.append(
                Transition(
                    time: time, kind: .daemon, isWell: status != nil, text: text,
                    after: after.duration))
        }
        guard let status else { return found }
        if let role = role(status, time) { found.append(role) }
        if let sync = sync(status, time) { found.append(sync) }
        found += peers(status, time)
        if let dark = dark(status, time) { found.append(dark) }
        return found
    }

    private struct Change { var duration: UInt64? }

    /// Notes a value; what came before it if it is a new one.
    private mutating func change(_ name: String, _ value: String, _ time: UInt64) -> Change? {
        guard let old = aspects[name] else {
            aspects[name] = Aspect(value: value, since: time)
            return Change()
        }
        guard old.value != value else { return nil }
        aspects[name] = Aspect(value: value, since: time)
        return Change(duration: time > old.since ? time - old.since : 0)
    }

    private mutating func role(_ status: StatusReport, _ time: UInt64) -> Transition? {
        let (role, epoch) = (status.words(at: "role"), status.words(at: "epoch"))
        guard let change = change("role", "\(role) \(epoch)", time) else { return nil }
        var text = role
        if role == Role.slave.description {
            let master = status.groups("peers").first {
                $0["role"] == .text(Role.master.description)
            }
            text += master.map { " of node \($0.words(at: "id"))" } ?? ""
        }
        if epoch != "0" { text += ", epoch \(epoch)" }
        return Transition(
            time: time, kind: .role, isWell: true, text: text, after: change.duration)
    }

    private mutating func sync(_ status: StatusReport, _ time: UInt64) -> Transition? {
        let isWell = status["well"] == .flag(true)
        let reason = isWell ? "" : status.words(at: "reason")
        let role = status.words(at: "role")
        let wasOther = aspects["sync"]?.value.hasPrefix(role + " ") != true
        guard let change = change("sync", "\(role) \(isWell) \(reason)", time) else { return nil }
        var text: String
        if isWell {
            if role == Role.slave.description {
                text = "in sync"
            } else {
                let slaves = Words.count(number(status, "known_slaves"), "slave", "slaves")
                text = "\(number(status, "ready_slaves")) of \(slaves) could take over"
            }
            if !wasOther, let duration = change.duration {
                text += " again, after \(Words.time(duration * 1_000))"
            }
        } else {
            let isSync = status["in_sync"] == .flag(false)
            text = (isSync ? "NOT in sync: " : "") + status.words(at: "reason_text")
        }
        return Transition(
            time: time, kind: .sync, isWell: isWell, text: text, after: change.duration)
    }

    private func number(_ status: StatusReport, _ path: String) -> UInt64 {
        guard case .number(let number) = status.value(at: path) else { return 0 }
        return number
    }

    private mutating func peers(_ status: StatusReport, _ time: UInt64) -> [Transition] {
        var found: [Transition] = []
        var there: Set<String> = []
        for peer in status.groups("peers") {
            let id = peer.words(at: "id")
            there.insert(id)
            let isHeard = peer["heard"] == .flag(true)
            guard let change = change("peer \(id)", "\(isHeard)", time) else { continue }
            let text =
                "node \(id) (\(peer.words(at: "address"))) is \(isHeard ? "heard" : "silent")"
            found.append(
                Transition(
                    time: time, kind: .peer, isWell: isHeard, text: text, after: change.duration))
        }
        // One that is not in the list any more may come back.
        for id in peers.subtracting(there) { aspects["peer \(id)"] = nil }
        peers = there
        return found
    }

    private mutating func dark(_ status: StatusReport, _ time: UInt64) -> Transition? {
        let error = status.words(at: "l2drop_error")
        let isDark = status["l2drop"] == .flag(true)
        let old = aspects["l2drop"] == nil
        guard let change = change("l2drop", "\(isDark) \(error)", time), !old || !error.isEmpty
        else {
            return nil
        }
        let text = error.isEmpty ? (isDark ? "dark" : "visible") : "l2drop: \(error)"
        return Transition(
            time: time, kind: .l2drop, isWell: error.isEmpty, text: text, after: change.duration)
    }
}
