// SPDX-License-Identifier: GPL-2.0-or-later

/// What the kernel lets this process do beyond an ordinary one: capabilities(7).
package struct Capabilities: Sendable, Equatable {
    /// Those that the daemon needs, by their bits in the kernel's sets.
    private static let needed: [(bit: UInt64, name: String)] = [
        (12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"),
    ]

    /// The effective set.
    let effective: UInt64

    /// Those of this process.
    ///
    /// - Throws: `ConfigurationError` if /proc does not say them.
    package init() throws(ConfigurationError) {
        do throws(SystemError) {
            try self.init(status: TextFile.read("/proc/self/status"))
        } catch {
            throw ConfigurationError(
                "the capabilities of this process cannot be read: \(error)", at: .notReady)
        }
    }

    /// Reads the line `CapEff:` of proc_pid_status(5); none if there is no such line.
    init(status: String) {
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let digits = line?.split { $0 == "\t" || $0 == " " }.last ?? ""
        effective = UInt64(digits, radix: 16) ?? 0
    }

    /// Checks that the daemon can do its work.
    ///
    /// - Throws: `ConfigurationError` that names those that are lacking; exit status 77.
    package func check() throws(ConfigurationError) {
        let lacking = Self.needed.filter { effective & (1 << $0.bit) == 0 }.map(\.name)
        guard !lacking.isEmpty else { return }
        throw ConfigurationError(
            "ct_sync needs \(Self.needed.map(\.name).joined(separator: " and ")) and lacks "
                + "\(lacking.joined(separator: " and ")); start it as root, or give it these",
            at: .notAllowed)
    }

    /// Checks that a command can do its work that looks into the kernel itself.
    ///
    /// - Throws: `ConfigurationError`; exit status 77.
    package func check(of command: String) throws(ConfigurationError) {
        let (bit, name) = Self.needed[0]
        guard effective & (1 << bit) == 0 else { return }
        throw ConfigurationError(
            "\(command) needs \(name); start it as root, or give it that", at: .notAllowed)
    }
}
