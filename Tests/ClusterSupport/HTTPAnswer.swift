// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// What a server answered to a GET.
package struct HTTPAnswer: Sendable {
    package let status: Int
    /// With their line ends.
    package let headers: String
    package let body: String

    /// Asks a server, from a host.
    ///
    /// - Throws: `CallFailed` where nobody listens or the connection breaks, `NeverHappened` where
    ///   no whole answer comes.
    package init(_ path: String, of server: Endpoint, from host: Namespace) throws {
        let socket = try Socket.connecting(to: server, in: host)
        let request = "GET \(path) HTTP/1.1\r\nHost: \(server)\r\nConnection: close\r\n\r\n"
        _ = try socket.send(Array(request.utf8))
        var bytes: [UInt8] = []
        let deadline = Stopwatch.seconds() + 10
        while true {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = try buffer.withUnsafeMutableBytes { try socket.receive(into: $0) }
            if count == 0 { break }
            bytes += buffer.prefix(count ?? 0)
            if Stopwatch.seconds() >= deadline {
                throw NeverHappened("an answer to GET \(path)", within: 10)
            }
            if count == nil { pause(0.002) }
        }
        let parts = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n\r\n")
        guard parts.count >= 2, let first = parts[0].split(separator: " ").dropFirst().first,
            let status = Int(first)
        else { throw NeverHappened("an answer of HTTP", within: 0, last: parts[0]) }
        self.status = status
        headers = parts[0] + "\r\n"
        body = parts.dropFirst().joined(separator: "\r\n\r\n")
    }

    /// The body of a good answer as an object of JSON.
    ///
    /// - Throws: `NeverHappened` for another answer, as of a server that is still starting.
    package func object() throws -> [String: Any] {
        guard status == 200 else {
            throw NeverHappened("an answer with 200", within: 0, last: "\(status): \(body)")
        }
        let parsed = try JSONSerialization.jsonObject(with: Data(body.utf8))
        guard let object = parsed as? [String: Any] else {
            throw NeverHappened("an object of JSON", within: 0, last: body)
        }
        return object
    }
}
