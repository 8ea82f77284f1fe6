// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What somebody knows who asks the daemon once a second: its status, the course of its counts, its
/// history. The daemon is asked by nobody else, however many look at this.
package struct Observation: Sendable {
    /// What a daemon has answered.
    package struct Answer: Sendable {
        /// Nil if it did not answer.
        package var status: StatusReport?
        /// Its history, from a number on.
        var history: [HistoryEvent] = []
        /// Why it did not answer.
        var trouble = ""
        /// Whether that is as this process may not ask it.
        package var isForbidden = false
    }

    /// The last status; nil if the daemon did not answer.
    package private(set) var status: StatusReport?
    /// Why it did not.
    package private(set) var trouble = ""
    /// Whether that is as this process may not ask it.
    package private(set) var isForbidden = false
    /// When it was asked last, in microseconds since 1970.
    package private(set) var time: UInt64 = 0
    /// The numbers of the last minutes.
    package private(set) var course: Course
    /// What the daemon tells of itself, and when it did not answer; the newest last.
    package private(set) var history: [HistoryEvent] = []
    /// Whether it has been asked before.
    private var isFirst = true
    /// Of the last event of its history: its number; 0 for all of it.
    package private(set) var since: UInt64 = 0
    /// What is older has been told, or is of before.
    private var known: UInt64 = 0

    /// Events that are kept.
    package static let historyLimit = 50

    /// One that keeps so many samples.
    package init(samples: Int) {
        course = Course(limit: samples)
    }

    /// Takes an answer, or the lack of one.
    ///
    /// - Parameter time: in microseconds since 1970.
    /// - Returns: what it tells: at first how the daemon is, then each event once.
    @discardableResult
    package mutating func take(
        _ answer: Answer, time: UInt64 = Clock.wallMicroseconds()
    ) -> [HistoryEvent] {
        let (wasFirst, wasThere) = (isFirst, status != nil)
        (isFirst, self.time) = (false, time)
        (status, trouble, isForbidden) = (answer.status, answer.trouble, answer.isForbidden)
        guard let status else {
            since = 0
            if wasFirst { known = time }
            guard wasFirst || wasThere else { return [] }
            return keep([daemon("the daemon does not answer: \(trouble)", isBad: true)])
        }
        course.add(Course.Sample(status, time: time))
        // One that has begun again may count again: what is known is told by its time.
        let news = answer.history.filter { wasThere || $0.wallMicroseconds > known }
        since = answer.history.last?.number ?? since
        known = max(known, answer.history.last?.wallMicroseconds ?? 0)
        if wasFirst {
            keep(news)
            return [verdict(status)]
        }
        return keep(wasThere ? news : [daemon("the daemon answers", isBad: false)] + news)
    }

    /// Asks a daemon, and takes its answer.
    @discardableResult
    package mutating func ask(controlFile: String) -> [HistoryEvent] {
        take(Self.ask(controlFile: controlFile, since: since))
    }

    /// Asks a daemon for its status and for its history after a number, for two seconds each at most.
    package static func ask(controlFile: String, since: UInt64) -> Answer {
        do throws(SystemError) {
            let lines = try ControlClient.request(
                controlFile: controlFile, [ControlLine("get", "status")])
            guard let status = StatusReport.parse(lines) else {
                return Answer(trouble: "its answer is not understood")
            }
            let history = try ControlClient.request(
                controlFile: controlFile,
                [ControlLine("get", "history"), ControlLine("since", String(since))])
            return Answer(
                status: status, history: history.compactMap { HistoryEvent(line: $0.value) })
        } catch {
            let isForbidden = error.errno == EACCES || error.errno == EPERM
            return Answer(trouble: "\(error)", isForbidden: isForbidden)
        }
    }

    @discardableResult
    private mutating func keep(_ events: [HistoryEvent]) -> [HistoryEvent] {
        history = Array((history + events).suffix(Self.historyLimit))
        return events
    }

    private func daemon(_ text: String, isBad: Bool) -> HistoryEvent {
        HistoryEvent(
            wallMicroseconds: time, kind: .daemon, isBad: isBad, role: role ?? .slave, text: text)
    }

    private func verdict(_ status: StatusReport) -> HistoryEvent {
        let reason = status.words(at: "reason")
        return HistoryEvent(
            wallMicroseconds: time, kind: .state, isBad: status["well"] != .flag(true),
            role: role ?? .slave, reason: reason.isEmpty ? nil : reason,
            text: status.words(at: "verdict"))
    }

    private var role: Role? { status.flatMap { Role(text: $0.words(at: "role")) } }

    /// What a page needs: the status, samples after a time (in microseconds since 1970), the history.
    package func json(after time: UInt64) -> String {
        "{\"time_seconds\":\(StatusValue.decimal(Int64(clamping: self.time)))"
            + ",\"trouble\":\(StatusValue.quoted(trouble))"
            + ",\"status\":\(status?.json ?? "null")"
            + ",\"samples\":\(course.json(after: time))"
            + ",\"history\":[\(history.map(\.json).joined(separator: ","))]}\n"
    }
}
