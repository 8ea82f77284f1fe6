// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Knows the devices of this network namespace and hears when that changes (RTMGRP_LINK).
///
/// What a notification says is not read: the answer to any is a new list, so a lost one
/// (ENOBUFS) costs nothing.
final class DeviceMonitor {
    private let notifications: NetlinkReader

    /// Listens in the network namespace of the calling thread.
    ///
    /// - Throws: `SystemError` of the rtnetlink socket.
    init() throws(SystemError) {
        notifications = try NetlinkReader(
            "rtnetlink socket", protocol: NetlinkReader.route, groups: 1)  // RTMGRP_LINK
    }

    /// What to poll for POLLIN; then call `drain`.
    var raw: CInt { notifications.raw }

    /// Takes the notifications that wait.
    ///
    /// - Returns: whether there were any, or some were lost.
    /// - Throws: `SystemError` of recv(2).
    func drain() throws(SystemError) -> Bool {
        var hasChanged = false
        try notifications.drain { _ in
            hasChanged = true
        } lost: {
            hasChanged = true
        }
        return hasChanged
    }

    /// The devices as they are now.
    ///
    /// - Throws: `SystemError` of the socket or of the kernel's refusal; EBADMSG for an answer that
    ///   cannot be read; ETIMEDOUT if none comes.
    func devices() throws(SystemError) -> [Device] {
        for _ in 0..<8 {
            if let devices = try list() { return devices }
        }
        throw SystemError("list of devices, which never stops changing", errno: EAGAIN)
    }

    /// One dump; nil if it was interrupted by a change.
    private func list() throws(SystemError) -> [Device]? {
        let answers = try NetlinkReader(
            "rtnetlink socket", protocol: NetlinkReader.route, groups: 0)
        try retrying("RTM_GETLINK") { ctsync_request_links(answers.raw) }
        var devices: [Device] = []
        var isInterrupted = false
        var isLast = false
        while !isLast {
            let isRead = try answers.next { (datagram: RawSpan) throws(SystemError) in
                let reader = try Self.read(datagram)
                devices += reader.devices
                isInterrupted = isInterrupted || reader.isInterrupted
                isLast = reader.isLast
            }
            guard !isRead else { continue }
            guard try retrying("poll", { ctsync_wait(answers.raw, -1, 2_000_000_000) }) > 0
            else { throw SystemError("list of devices", errno: ETIMEDOUT) }
        }
        return isInterrupted ? nil : devices
    }

    private static func read(_ datagram: RawSpan) throws(SystemError) -> DeviceReader {
        let reader: DeviceReader
        do throws(NetlinkError) {
            reader = try DeviceReader(datagram)
        } catch {
            throw SystemError("list of devices: \(error)", errno: EBADMSG)
        }
        guard reader.refusal == 0 else { throw SystemError("RTM_GETLINK", errno: reader.refusal) }
        return reader
    }
}
