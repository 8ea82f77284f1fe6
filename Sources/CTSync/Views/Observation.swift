// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What somebody knows who asks the daemon once a second: its status, the course of its counts, its
/// transitions. The daemon is asked by nobody else, however many look at this.
package struct Observation: Sendable {
    /// The last status; nil if the daemon did not answer.
    package private(set) var status: StatusReport?
    /// Why it did not.
    package private(set) var trouble = ""
    /// When it was asked last, in microseconds since 1970.
    package private(set) var time: UInt64 = 0
    package private(set) var course: Course
    /// The last ones, the newest last.
    package private(set) var transitions: [Transition] = []
    private var watch = TransitionWatch()

    /// Transitions that are kept.
    package static let transitionLimit = 50

    /// One that keeps so many samples.
    package init(samples: Int) {
        course = Course(limit: samples)
    }

    /// Takes an answer, or the lack of one.
    ///
    /// - Parameter time: in microseconds since 1970.
    /// - Returns: the transitions that it shows.
    @discardableResult
    package mutating func take(
        _ status: StatusReport?, trouble: String = "", time: UInt64 = Clock.wallMicroseconds()
    ) -> [Transition] {
        self.status = status
        self.trouble = trouble
        self.time = time
        if let status { course.add(Course.Sample(status, time: time)) }
        let found = watch.look(status, trouble: trouble, time: time)
        transitions = Array((transitions + found).suffix(Self.transitionLimit))
        return found
    }

    /// Asks a daemon, and takes its answer.
    @discardableResult
    package mutating func ask(controlFile: String) -> [Transition] {
        let answer = Self.ask(controlFile: controlFile)
        return take(answer.status, trouble: answer.trouble)
    }

    /// Asks a daemon for its status, for two seconds at most.
    package static func ask(controlFile: String) -> (status: StatusReport?, trouble: String) {
        do throws(SystemError) {
            let lines = try ControlClient.request(
                controlFile: controlFile, [ControlLine("get", "status")])
            guard let status = StatusReport.parse(lines) else {
                return (nil, "its answer is not understood")
            }
            return (status, "")
        } catch {
            return (nil, "\(error)")
        }
    }

    /// What a page needs: the status, samples after a time (in microseconds since 1970), transitions.
    package func json(after time: UInt64) -> String {
        "{\"time_seconds\":\(StatusValue.decimal(Int64(clamping: self.time)))"
            + ",\"trouble\":\(StatusValue.quoted(trouble))"
            + ",\"status\":\(status?.json ?? "null")"
            + ",\"samples\":\(course.json(after: time))"
            + ",\"transitions\":[\(transitions.map(\.json).joined(separator: ","))]}\n"
    }
}
