// SPDX-License-Identifier: GPL-2.0-or-later

/// The last hundred transitions of a node, in memory and in a file beside the control file, so that a
/// daemon that starts again still has them, and they can be read while none runs. `DiskWriter` writes it.
///
/// Thread: control.
package struct History: Sendable {
    /// What the file's name has behind that of the control file.
    package static let suffix = ".history"
    /// The most events that are kept.
    static let capacity = 100
    private static let byteLimit = capacity * 1_024

    /// The events, the oldest first.
    package private(set) var events: [HistoryEvent] = []
    /// The file.
    let path: String

    /// Reads the file of a control file; what is no event in it is left out.
    package init(controlFile: String) {
        let path = controlFile + Self.suffix
        do throws(SystemError) {
            self.init(text: try TextFile.read(path, limit: Self.byteLimit), path: path)
        } catch {
            // No file yet, or none that can be read: the history begins now.
            self.init(text: "", path: path)
        }
    }

    init(text: String, path: String) {
        self.path = path
        let lines = text.split(separator: "\n").suffix(Self.capacity)
        events = lines.compactMap { HistoryEvent(line: $0) }
    }

    /// Keeps an event, with the next number.
    ///
    /// - Returns: it, numbered.
    @discardableResult
    mutating func add(_ event: HistoryEvent) -> HistoryEvent {
        var event = event
        event.number = (events.last?.number ?? 0) + 1
        event.text = String(event.text.prefix(600))
        if events.count == Self.capacity { events.removeFirst() }
        events.append(event)
        return event
    }

    /// The file's text: a line an event.
    var text: String { events.map { $0.line + "\n" }.joined() }
}
