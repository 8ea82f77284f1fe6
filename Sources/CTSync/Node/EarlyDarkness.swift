// SPDX-License-Identifier: GPL-2.0-or-later

internal import Glibc

/// Puts the drop on from the configuration alone, before a daemon runs: a standby that boots is dark
/// from the first moment its devices come up. The daemon adopts it.
package enum EarlyDarkness {
    /// What came of it.
    package enum Outcome: Equatable, Sendable {
        /// The node is dark.
        case isDark
        /// It is left as it is, for this reason.
        case isLeft(String)
    }

    /// Makes the node dark, unless it is to be master or a daemon runs, which decides for itself.
    ///
    /// - Throws: `L2DropError` if it cannot be made dark.
    package static func putOn(_ configuration: Configuration) throws(L2DropError) -> Outcome {
        guard configuration.l2drop else { return .isLeft("l2drop=0") }
        guard configuration.state != .master else { return .isLeft("state=1: it starts as master") }
        let result: Result<Outcome, L2DropError>
        do throws(ConfigurationError) {
            let lock = try InstanceLock(controlFile: configuration.controlFile)
            result = putOn(configuration, holding: lock)
        } catch {
            return .isLeft(error.sentence)
        }
        return try result.get()
    }

    private static func putOn(
        _ configuration: Configuration, holding lock: borrowing InstanceLock
    ) -> Result<Outcome, L2DropError> {
        do throws(L2DropError) {
            return .success(try raise(configuration))
        } catch {
            return .failure(error)
        }
    }

    private static func raise(_ configuration: Configuration) throws(L2DropError) -> Outcome {
        guard !isMaster(configuration.controlFile) else {
            return .isLeft("\(configuration.controlFile) says that it is master")
        }
        let drop = try L2Drop(
            syncdev: configuration.syncdev, exempt: configuration.openDevices,
            instance: Darkness.instance(configuration), backend: configuration.l2dropBackend)
        if try !drop.adopt() { try drop.raise() }
        return .isDark
    }

    /// Whether a daemon that was killed was master here; at a boot there is no such file.
    private static func isMaster(_ path: String) -> Bool {
        do throws(SystemError) {
            guard let file = try ControlFile.open(path) else { return false }
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = try retrying("read \(path)") { read(file.raw, &bytes, bytes.count) }
            let words = String(decoding: bytes[..<count], as: UTF8.self)
                .split(whereSeparator: \.isWhitespace)
            return words.first.flatMap { Role(text: String($0)) } == .master
        } catch {
            return false
        }
    }
}
