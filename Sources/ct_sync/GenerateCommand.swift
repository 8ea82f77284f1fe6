// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync generate`: the pieces of documents that list the settings, for `make documents`.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync generate",
        abstract: "Prints what the documents say of the settings.", shouldDisplay: false)

    /// A piece of a document.
    enum Document: String, ExpressibleByArgument, CaseIterable {
        /// conf/ct_sync.conf
        case sampleConfig = "sample-config"
        /// The settings in man/ct_sync.conf.5.
        case manualSettings = "manual-settings"
        /// The flags in man/ct_sync.8.
        case manualOptions = "manual-options"
    }

    @Argument(help: "Which of them.")
    var document: Document

    func run() {
        let text =
            switch document {
            case .sampleConfig: SettingsTable.sampleFile
            case .manualSettings: SettingsTable.manualSettings
            case .manualOptions: SettingsTable.manualOptions
            }
        print(text, terminator: "")
    }
}
