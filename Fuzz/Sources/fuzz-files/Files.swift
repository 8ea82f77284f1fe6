// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// What the daemon and its clients read from files and from each other: the key file, the history that an
/// earlier daemon has left, the lines of a status.
///
/// The first byte of the input says which.
@main enum FileFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    switch input.byte() % 3 {
    case 0: takeKeys(input.rest())
    case 1: takeHistory(input.text() ?? "")
    default: takeStatus(input.rest())
    }
    return 0
}

private func takeKeys(_ bytes: [UInt8]) {
    do throws(ConfigurationError) {
        let keys = try SealKeyFile.parse(bytes, "key")
        precondition((1...SealKeyRing.limit).contains(keys.count))
    } catch {
        precondition(!error.sentence.isEmpty, "a sentence for a person")
    }
}

private func takeHistory(_ text: String) {
    var history = History(text: text, path: "history")
    for event in history.events {
        precondition(HistoryEvent(line: event.line)?.line == event.line)
        _ = event.json
        _ = Words.time(of: event)
        history.add(event)
    }
}

private func takeStatus(_ bytes: [UInt8]) {
    guard let lines = ControlLine.parse(bytes[...]), let report = StatusReport.parse(lines) else {
        return
    }
    precondition(StatusReport.parse(report.lines) != nil)
    _ = report.compact
    _ = report.json
}
