// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import FlyingFox
import Foundation

/// What is answered at each path.
struct Answers: Sendable {
    let path: String
    let answer: @Sendable (Desk, HTTPRequest) -> HTTPResponse

    static let all = [
        Answers(path: "GET /metrics") { desk, _ in
            response(.ok, MetricsText.contentType, Metrics.text(desk.now.status))
        },
        Answers(path: "GET /status.json") { desk, _ in
            let seen = desk.now
            guard let status = seen.status else {
                return response(
                    .serviceUnavailable, json, "{\"error\":\"the daemon does not answer\"}\n")
            }
            return response(.ok, json, status.json)
        },
        Answers(path: "GET /live.json") { desk, request in
            let after = request.query["after"].flatMap { Double($0) } ?? 0
            // A microsecond off is no matter; a number that is none is the beginning.
            let time = after > 0 && after < 1e12 ? UInt64((after * 1e6).rounded()) : 0
            return response(.ok, json, desk.now.json(after: time))
        },
        Answers(path: "GET /") { _, _ in
            response(.ok, "text/html; charset=utf-8", Page.text)
        },
    ]

    private static let json = "application/json; charset=utf-8"

    private static func response(
        _ status: HTTPStatusCode, _ type: String, _ text: String
    ) -> HTTPResponse {
        HTTPResponse(
            statusCode: status,
            headers: [
                .contentType: type,
                HTTPHeader("Cache-Control"): "no-store",
                HTTPHeader("X-Content-Type-Options"): "nosniff",
                // The page has all that it needs within itself.
                HTTPHeader("Content-Security-Policy"):
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                    + "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                    + "frame-ancestors 'none'",
            ], body: Data(text.utf8))
    }
}
