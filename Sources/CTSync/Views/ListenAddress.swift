// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a server listens: `127.0.0.1:9378`, `[::1]:9378`.
package struct ListenAddress: Sendable, Equatable {
    /// As inet_pton(3) reads it.
    package let address: String
    /// Whether it is one of IPv6.
    package let isIPv6: Bool
    /// 1 to 65535.
    package let port: UInt16

    /// Reads an address and a port.
    ///
    /// - Throws: `ConfigurationError` that says what is allowed.
    package init(text: String) throws(ConfigurationError) {
        let mistake = ConfigurationError(
            "--listen is \(ConfigurationError.quoted(text)) but must be an address and a port, "
                + "as 127.0.0.1:9378 or [::1]:9378", at: .commandLine)
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { throw mistake }
        var host = String(text[..<colon])
        let hasBrackets = host.hasPrefix("[") && host.hasSuffix("]")
        if hasBrackets { host = String(host.dropFirst().dropLast()) }
        guard let parsed = HostAddress(text: host), (parsed.family == .ipv6) == hasBrackets else {
            throw mistake
        }
        address = host
        isIPv6 = hasBrackets
        self.port = port
    }
}
