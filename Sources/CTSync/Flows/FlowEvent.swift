// SPDX-License-Identifier: GPL-2.0-or-later

/// One event of a connection, as `ct_sync flows` shows it.
struct FlowEvent {
    /// What happened to it.
    let kind: FlowEventKind
    /// When it was read, in microseconds since 1970.
    let time: UInt64
    /// What the event said of it.
    let entry: Entry
    /// What the kernel counted of it; for its end only.
    let accounting: Accounting
    /// The netlink port, mostly the process number, of the program that caused it; 0 for the kernel.
    let portID: UInt32

    /// A line of `key=value` words, those of `ct_sync dump` among them.
    var text: String {
        var line =
            "time=\(FlowTime.text(microseconds: time)) event=\(kind.rawValue) "
            + EntryLine.text(entry)
        if let count = accounting.original {
            line += " packets=\(count.packets) bytes=\(count.bytes)"
        }
        if let count = accounting.reply {
            line += " reply_packets=\(count.packets) reply_bytes=\(count.bytes)"
        }
        if let duration = accounting.duration(now: time * 1_000) {
            line += " duration=\(FlowTime.seconds(nanoseconds: duration))"
        }
        if portID != 0 { line += " portid=\(portID)" }
        return line
    }
}

/// What can happen to a connection.
package enum FlowEventKind: String, CaseIterable, Sendable {
    /// The first packet has passed.
    case begin
    /// Its state, status, mark or another part has changed.
    case change
    /// It has ended, or was removed.
    case end

    init?(_ kind: CtnetlinkKind) {
        switch kind {
        case .new: self = .begin
        case .update: self = .change
        case .destroy: self = .end
        default: return nil
        }
    }
}
