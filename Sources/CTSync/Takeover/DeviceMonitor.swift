// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Knows the devices of this network namespace and hears when that changes (RTMGRP_LINK).
///
/// What a notification says is not read: the answer to any is a new list, so a lost one
/// (ENOBUFS) costs nothing.
final class DeviceMonitor {
    private let notifications: Descriptor
    private static let netlinkRoute: CInt = 0  // NETLINK_ROUTE
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Listens in the network namespace of the calling thread.
    ///
    /// - Throws: `SystemError` of the rtnetlink socket.
    init() throws(SystemError) {
        notifications = try Descriptor("rtnetlink socket") {
            ctsync_netlink_open(Self.netlinkRoute, 1)  // RTMGRP_LINK
        }
    }

    /// What to poll for POLLIN; then call `drain`.
    var raw: CInt { notifications.raw }

    /// Takes the notifications that wait.
    ///
    /// - Returns: whether there were any, or some were lost.
    /// - Throws: `SystemError` of recv(2).
    func drain() throws(SystemError) -> Bool {
        var hasChanged = false
        while true {
            do throws(SystemError) {
                guard try receive(from: notifications.raw) != nil else { return hasChanged }
            } catch {
                guard error.errno == ENOBUFS else { throw error }
            }
            hasChanged = true
        }
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
        let socket = try Descriptor("rtnetlink socket") {
            ctsync_netlink_open(Self.netlinkRoute, 0)
        }
        try retrying("RTM_GETLINK") { ctsync_request_links(socket.raw) }
        var devices: [Device] = []
        var isInterrupted = false
        while true {
            guard let count = try receive(from: socket.raw) else {
                guard try retrying("poll", { ctsync_wait(socket.raw, -1, 2_000_000_000) }) > 0
                else { throw SystemError("list of devices", errno: ETIMEDOUT) }
                continue
            }
            let reader: DeviceReader
            do throws(NetlinkError) {
                reader = try DeviceReader(buffer.span.extracting(first: count).bytes)
            } catch {
                throw SystemError("list of devices: \(error)", errno: EBADMSG)
            }
            guard reader.refusal == 0 else {
                throw SystemError("RTM_GETLINK", errno: reader.refusal)
            }
            devices += reader.devices
            isInterrupted = isInterrupted || reader.isInterrupted
            if reader.isLast { return isInterrupted ? nil : devices }
        }
    }

    private func receive(from socket: CInt) throws(SystemError) -> Int? {
        try retryingNonBlocking("recv") {
            buffer.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
        }
    }
}
