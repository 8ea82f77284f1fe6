// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Logging

/// Starts the daemon with checked settings.
struct RunCommand {
    /// The settings.
    let configuration: Configuration

    /// Runs until the daemon ends; returns the exit status.
    func run() throws(ConfigurationError) -> Int32 {
        let level = configuration.logLevel
        LoggingSystem.bootstrap { _ in JournalLogHandler(level: level) }
        return try Daemon.run(configuration, log: Logger(label: "ct_sync"))
    }
}
