// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// A configuration file, from its text to the configuration.
@main enum ConfigurationFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    guard let text = input.text() else { return 0 }
    do throws(ConfigurationError) {
        let file = try ConfigurationFile(text: text, path: "/etc/ct_sync.conf")
        _ = try Configuration(file: file.settings, commandLine: [])
    } catch {
        precondition(!"\(error)".isEmpty, "a sentence for a person")
    }
    return 0
}
