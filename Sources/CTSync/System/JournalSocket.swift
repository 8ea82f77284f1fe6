// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Sends lines with fields of their own to the journal, by its native protocol: one datagram a line,
/// `FIELD=value` each (systemd.io/JOURNAL_NATIVE_PROTOCOL).
struct JournalSocket: Sendable {
    /// Where the journal listens.
    static let path = "/run/systemd/journal/socket"

    private let path: String

    init(path: String = JournalSocket.path) {
        self.path = path
    }

    /// Sends one line, without waiting.
    ///
    /// - Parameter fields: names in capitals, digits and underscores.
    /// - Returns: whether the journal took it.
    func send(_ fields: [(name: String, value: String)]) -> Bool {
        let text = fields.map { field in
            "\(field.name)=\(String(field.value.map { $0.isNewline ? " " : $0 }))\n"
        }.joined()
        let raw = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { return false }
        let descriptor = Descriptor(owning: raw)
        var address = sockaddr_un()
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bytes = Array(text.utf8)
        let sent = withUnsafeBytes(of: &address) { storage in
            storage.baseAddress.map { base in
                sendto(
                    descriptor.raw, bytes, bytes.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT),
                    base.assumingMemoryBound(to: sockaddr.self), socklen_t(storage.count))
            }
        }
        return sent == bytes.count
    }
}
