// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync
@testable import ConntrackdImport

/// A conntrackd.conf, made into a ct_sync.conf as `ct_sync import-conntrackd` does: what comes out is a
/// configuration that the daemon takes, and neither it nor a refusal has anything that a terminal obeys.
@main enum ImportFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let text = String(decoding: input.rest(), as: UTF8.self)
    let result: String
    do throws(ImportMistake) {
        result = try ConntrackdConversion.configuration(from: text, path: "conntrackd.conf")
    } catch {
        precondition(!error.sentence.isEmpty && error.sentence.utf8.allSatisfy(isPrintable))
        return 0
    }
    precondition(result.utf8.allSatisfy { isPrintable($0) || $0 == UInt8(ascii: "\n") })
    do throws(ConfigurationError) {
        let file = try ConfigurationFile(text: result, path: "the result")
        _ = try Configuration(file: file.settings, commandLine: [])
    } catch {
        fatalError("the result is wrong: \(error.sentence)")
    }
    return 0
}

private func isPrintable(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }
