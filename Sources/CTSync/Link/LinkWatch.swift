// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Hears when devices or addresses of this network namespace change (rtnetlink).
///
/// A message is a reason to look again, and is not read further. Only that a device was removed has
/// to be known from the message: one that was moved away and back between two looks has its old
/// number and none of its memberships.
final class LinkWatch {
    /// What has happened since the last look.
    struct News: Equatable {
        /// Anything at all.
        var hasChanged = false
        /// The numbers of devices that were removed.
        var removed: Set<UInt32> = []
        /// Some messages were lost: any device may have been removed.
        var isIncomplete = false
    }

    private static let delLink: UInt16 = 17  // RTM_DELLINK

    private let notifications: NetlinkReader

    /// Listens in the network namespace of the calling thread.
    init() throws(SystemError) {
        notifications = try NetlinkReader(
            "rtnetlink socket", protocol: NetlinkReader.route,
            groups: NetlinkReader.linksAndAddresses)
    }

    /// What to poll for POLLIN; then call `drain`.
    var raw: CInt { notifications.raw }

    /// Takes the notifications that wait.
    func drain() throws(SystemError) -> News {
        var news = News()
        try notifications.drain {
            Self.read($0, into: &news)
        } lost: {
            news.isIncomplete = true
            news.hasChanged = true
        }
        return news
    }

    /// Reads the messages of a datagram.
    static func read(_ bytes: RawSpan, into news: inout News) {
        var offset = 0
        while offset < bytes.byteCount, let next = bytes.nextMessage(after: offset) {
            news.hasChanged = true
            let body = offset + NLMSG_HDRLEN
            // struct ifinfomsg; a bridge says so of a port that leaves it (AF_BRIDGE).
            if bytes.hostUInt16(at: offset + 4) == delLink, next - body >= 16,
                bytes.byte(body) == UInt8(AF_UNSPEC)
            {
                news.removed.insert(bytes.hostUInt32(at: body + 4))
            }
            offset = next
        }
    }
}
