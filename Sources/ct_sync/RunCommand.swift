// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Logging

/// Starts the daemon with checked settings.
struct RunCommand {
    private let arguments: DaemonArguments
    /// The settings.
    private let configuration: Configuration

    /// Reads the file and the command line.
    ///
    /// - Throws: `ConfigurationError`, the first mistake found.
    init(_ arguments: DaemonArguments) throws(ConfigurationError) {
        self.arguments = arguments
        configuration = try Self.read(arguments)
    }

    private static func read(
        _ arguments: DaemonArguments
    ) throws(ConfigurationError) -> Configuration {
        let path = arguments.configPath
        let file =
            if let path {
                try ConfigurationFile(path: path)
            } else {
                try ConfigurationFile.ifPresent()
            }
        var configuration = try Configuration(
            file: file?.settings ?? [],
            of: file == nil ? nil : path ?? ConfigurationFile.defaultPath,
            commandLine: arguments.settings)
        configuration.settleNodeID(machineID: MachineID.text())
        configuration.path = file == nil ? nil : path ?? ConfigurationFile.defaultPath
        return configuration
    }

    /// Runs until the daemon ends; returns the exit status.
    func run() throws(ConfigurationError) -> Int32 {
        try Capabilities().check()
        let level = configuration.logLevel
        LoggingSystem.bootstrap { _ in JournalLogHandler(level: level) }
        let log = Logger(label: "ct_sync")
        switch configuration.nodeIDOrigin {
        case .setting: break
        case .machineID:
            log.notice("no id is given: this is node \(configuration.nodeID), by its machine id")
        case .none:
            log.warning(
                """
                no id is given, and \(MachineID.path) has none to make one of: this is node \
                \(configuration.nodeID); give each node an id of its own
                """)
        }
        let arguments = arguments
        return try Daemon.run(
            configuration, log: log
        ) { () throws(ConfigurationError) in try Self.read(arguments) }
    }
}
