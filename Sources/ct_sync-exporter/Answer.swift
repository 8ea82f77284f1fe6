// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import NIOHTTP1

/// What is answered to a request.
struct Answer {
    /// Of every answer. The page has all that it needs within itself.
    static let headers = [
        ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        (
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                + "frame-ancestors 'none'"
        ),
    ]

    private static let json = "application/json; charset=utf-8"

    /// Of HTTP.
    let status: Int
    let type: String
    let body: String

    /// Answers a request from what was found last.
    init(_ method: HTTPMethod, _ uri: String, _ desk: Desk) {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard method == .GET || method == .HEAD else {
            self.init(405, "text/plain", "only GET and HEAD\n")
            return
        }
        switch parts[0] {
        case "/":
            self.init(200, "text/html; charset=utf-8", Page.text)
        case "/metrics":
            self.init(200, MetricsText.contentType, Metrics.text(desk.now.status))
        case "/status.json":
            if let status = desk.now.status {
                self.init(200, Self.json, status.json)
            } else {
                self.init(503, Self.json, "{\"error\":\"the daemon does not answer\"}\n")
            }
        case "/live.json":
            let after = parts.count == 2 ? Self.after(parts[1]) : 0
            self.init(200, Self.json, desk.now.json(after: after))
        default:
            self.init(404, "text/plain", "there is /, /metrics and /status.json\n")
        }
    }

    private init(_ status: Int, _ type: String, _ body: String) {
        (self.status, self.type, self.body) = (status, type, body)
    }

    /// The time of `after=SECONDS` in microseconds; 0 for what is none.
    private static func after(_ query: Substring) -> UInt64 {
        for pair in query.split(separator: "&") where pair.hasPrefix("after=") {
            guard let seconds = Double(pair.dropFirst(6)), seconds > 0, seconds < 1e12 else {
                return 0
            }
            return UInt64((seconds * 1e6).rounded())
        }
        return 0
    }
}
