// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
package import Logging

/// Writes log lines to standard error, one write(2) each.
///
/// Under systemd (JOURNAL_STREAM is set) a line begins with its priority as the journal reads it,
/// `<6>`; otherwise with the time of day and `ct_sync: info:`.
package struct JournalLogHandler: LogHandler {
    /// Appended to each line as key=value.
    package var metadata = Logger.Metadata()
    /// The least important messages that are still written.
    package var logLevel: Logger.Level
    private let forJournal: Bool
    private let descriptor: CInt
    private let journal: JournalSocket

    /// A handler for standard error, in the form that the environment asks for.
    package init(level: Logger.Level = .info) {
        self.init(level: level, forJournal: Self.isForJournal, descriptor: 2)
    }

    private static var isForJournal: Bool { getenv("JOURNAL_STREAM") != nil }

    /// Writes why the program does not start, or a command does not run: with the priority of an
    /// error for the journal, otherwise after the program's name.
    package static func refuse(_ sentence: some StringProtocol) {
        let line = "\(isForJournal ? "<\(priority(.error))>" : "ct_sync: ")\(sentence)\n"
        _ = write(STDERR_FILENO, line, line.utf8.count)
    }

    init(
        level: Logger.Level, forJournal: Bool, descriptor: CInt,
        journal: JournalSocket = JournalSocket()
    ) {
        self.journal = journal
        logLevel = level
        self.forJournal = forJournal
        self.descriptor = descriptor
    }

    /// A value of the handler's own metadata.
    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    package func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, own in own }
        if forJournal, all["MESSAGE_ID"] != nil, send(event, all) { return }
        var line = forJournal ? "<\(JournalLogHandler.priority(event.level))>" : prefix(event.level)
        line += "\(event.message)"
        for (key, value) in all.sorted(by: { $0.key < $1.key }) where !Self.isField(key) {
            line += " \(key)=\(value)"
        }
        // A line break in foreign text would begin a line with a priority of its own.
        var bytes = line.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
        bytes.append(UInt8(ascii: "\n"))
        _ = write(descriptor, bytes, bytes.count)
    }

    /// Whether a value is a field of its own in the journal, and not part of the line.
    private static func isField(_ key: String) -> Bool {
        key.first?.isUppercase ?? false
    }

    /// Sends a line with its fields to the journal; false if it is not there.
    private func send(_ event: LogEvent, _ all: Logger.Metadata) -> Bool {
        let fields = all.filter { Self.isField($0.key) }.sorted { $0.key < $1.key }
        return journal.send(
            [
                ("MESSAGE", "\(event.message)"), ("PRIORITY", "\(Self.priority(event.level))"),
                ("SYSLOG_IDENTIFIER", "ct_sync"),
            ] + fields.map { ($0.key, "\($0.value)") })
    }

    /// The priority of syslog(3) for a level: 0 (emerg) to 7 (debug).
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private func prefix(_ level: Logger.Level) -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        localtime_r(&now.tv_sec, &parts)
        func digits(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { digits(Int($0), 2) }
        let milliseconds = digits(now.tv_nsec / 1_000_000, 3)
        return "\(time.joined(separator: ":")).\(milliseconds) ct_sync: \(level): "
    }
}
