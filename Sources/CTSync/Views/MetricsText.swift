// SPDX-License-Identifier: GPL-2.0-or-later

/// Prometheus' text format, version 0.0.4: HELP and TYPE of each metric, then its samples.
package struct MetricsText {
    /// What a metric is.
    enum Kind: String, Sendable {
        /// It goes up and down.
        case gauge
        /// It only grows, from the daemon's start; its name ends with `_total`.
        case counter
    }

    /// One line of a metric.
    struct Sample: Equatable {
        /// Names and values, in their order.
        var labels: [(name: String, value: String)] = []
        /// A number as the format writes it.
        var value: String

        init(_ value: String, _ labels: [(String, String)] = []) {
            self.value = value
            self.labels = labels.map { (name: $0.0, value: $0.1) }
        }

        static func == (left: Sample, right: Sample) -> Bool { left.text == right.text }

        /// Behind the metric's name.
        fileprivate var text: String {
            guard !labels.isEmpty else { return " \(value)\n" }
            let pairs = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }
            return "{\(pairs.joined(separator: ","))} \(value)\n"
        }

        private static func escaped(_ text: String) -> String {
            text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                .replacing("\n", with: "\\n")
        }
    }

    /// The Content-Type of an answer that holds it.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// What was written.
    private(set) var text = ""

    /// Adds a metric; nothing if it has no samples.
    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples { text += name + sample.text }
    }
}
