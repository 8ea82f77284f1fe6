// SPDX-License-Identifier: GPL-2.0-or-later

/// All settings. Flags, parameters, file, help, sample file, manual and completions come from here.
///
/// A new setting is one row in one of the lists and one stored property of `Configuration`; then
/// `make documents` writes the sample file and the man pages again.
package enum SettingsTable {
    /// In the order in which they are shown.
    package static let all = node + darkness + link + replication

    /// Their names.
    package static var names: [String] { all.map(\.name) }

    /// The row of a name; underscores may stand for its dashes.
    static func row(_ name: String) -> SettingDescription? {
        all.first { $0.name == name }
    }
}
