// SPDX-License-Identifier: GPL-2.0-or-later

/// The metrics of a node, made of its status: for `ct_sync metrics` and the exporter.
package enum Metrics {
    /// A metric: what it is and where its samples come from.
    struct Metric: Sendable {
        let name: String
        let kind: MetricsText.Kind
        let help: String
        let samples: @Sendable (StatusReport) -> [MetricsText.Sample]

        init(
            _ name: String, _ kind: MetricsText.Kind, _ help: String,
            _ samples: @escaping @Sendable (StatusReport) -> [MetricsText.Sample]
        ) {
            (self.name, self.kind, self.help, self.samples) = (name, kind, help, samples)
        }

        /// A metric of one sample, the value at a path of the status; none if it is not known.
        init(_ name: String, _ kind: MetricsText.Kind, _ help: String, at path: String) {
            self.init(name, kind, help) { status in
                status.metric(at: path).map { [MetricsText.Sample($0)] } ?? []
            }
        }

        /// A metric with a sample for each of these paths, told apart by a label.
        init(
            _ name: String, _ kind: MetricsText.Kind, _ help: String, by label: String,
            _ paths: KeyValuePairs<String, String>
        ) {
            let pairs = paths.map { ($0.key, $0.value) }
            self.init(name, kind, help) { status in
                pairs.compactMap { value, path in
                    status.metric(at: path).map { MetricsText.Sample($0, [(label, value)]) }
                }
            }
        }
    }

    /// The text for a status; nil for a daemon that does not answer.
    package static func text(_ status: StatusReport?) -> String {
        var text = MetricsText()
        text.add(
            "ct_sync_up", .gauge, "Whether the daemon answers.",
            [MetricsText.Sample(status == nil ? "0" : "1")])
        guard let status else { return text.text }
        for metric in all {
            text.add(metric.name, metric.kind, metric.help, metric.samples(status))
        }
        return text.text
    }

    /// All of them, in their order.
    static let all = node + sync + link + table + peers
}

extension StatusReport {
    /// The value at a path as a metric's: yes is 1; nil if there is none.
    func metric(at path: String) -> String? {
        switch value(at: path) {
        case .number(let number): String(number)
        case .seconds(let microseconds): StatusValue.decimal(microseconds)
        case .flag(let flag): flag ? "1" : "0"
        default: nil
        }
    }

    /// The words at a path; empty if there are none.
    func words(at path: String) -> String {
        switch value(at: path) {
        case .text(let words): words
        case .number(let number): String(number)
        default: ""
        }
    }

    /// The groups of a list.
    func groups(_ key: String) -> [StatusReport] {
        guard case .list(let list) = self[key] else { return [] }
        return list
    }

    /// A wall-clock time that lies a number of seconds before the status was made.
    func timestamp(before path: String) -> String? {
        guard case .seconds(let now) = value(at: "time_seconds"),
            case .seconds(let age) = value(at: path)
        else { return nil }
        return StatusValue.decimal(now - age)
    }
}

extension NodeReport.Reason {
    /// Those for which a slave is not in sync.
    static let ofSync = Array(
        allCases.prefix { $0 != .alone })
}
