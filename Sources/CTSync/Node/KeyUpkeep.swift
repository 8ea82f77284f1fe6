// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// What the control thread does for the seal of the sync link: reads the key file, at the start and
/// when it is told to.
///
/// Thread: control.
final class KeyUpkeep {
    /// Reads all settings again, as at the start.
    typealias Reader = () throws(ConfigurationError) -> Configuration

    let seal: LinkSeal
    private let reader: Reader
    private let log: Logger
    private var start = ""
    /// How often it was read again, and what was the case then.
    private(set) var readings = (count: 0, last: "")
    /// Where the keys were read; nil without a key.
    private(set) var path: String?

    /// Reads the keys that a configuration names.
    ///
    /// - Parameter reader: what `rekey` reads settings with, of which it takes those of the key.
    /// - Throws: `ConfigurationError` if there is a key that cannot be used.
    init(
        _ configuration: Configuration, log: Logger, reader: @escaping Reader
    ) throws(ConfigurationError) {
        seal = try LinkSeal(
            nodeID: configuration.nodeID, cluster: configuration.cluster ?? "")
        self.log = log
        self.reader = reader
        start = try load(configuration)
    }

    /// Logs what was read at the start.
    func tell() {
        log.info("\(start)")
    }

    /// Reads the settings of the key and the key file again.
    ///
    /// - Returns: what is the case now.
    /// - Throws: `ConfigurationError`; everything is as it was then.
    func rekey() throws(ConfigurationError) -> String {
        do throws(ConfigurationError) {
            let sentence = try load(try reader())
            readings = (readings.count + 1, sentence)
            return sentence
        } catch {
            log.error("the key is as it was: \(error)")
            throw error
        }
    }

    private func load(_ configuration: Configuration) throws(ConfigurationError) -> String {
        guard let path = configuration.keyFile ?? SealKeyFile.credential() else {
            try seal.use([], .off)
            self.path = nil
            return "packets of the sync link are not sealed, as there is no key"
        }
        let keys = try SealKeyFile.read(path)
        try seal.use(keys, configuration.keyMode)
        self.path = path
        let count = keys.count == 1 ? "1 key" : "\(keys.count) keys, the first of them seals"
        return "key file \(path): \(count); key-mode \(configuration.keyMode)"
    }
}
