// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// The netlink ports that this process changes the kernel's tables from: the kernel names the port of
/// whoever caused an event.
enum OwnPorts {
    private static let ports = Mutex<[UInt32]>([])

    /// Whether an event's cause is this process.
    static func contains(_ port: UInt32) -> Bool {
        port != 0 && ports.withLock { $0.contains(port) }
    }

    /// All of them.
    static var all: [UInt32] { ports.withLock { $0 } }

    /// Records a socket's port.
    ///
    /// - Throws: `SystemError` of getsockname(2).
    static func add(_ socket: CInt) throws(SystemError) -> UInt32 {
        var port: UInt32 = 0
        try retrying("getsockname") { ctsync_netlink_port(socket, &port) }
        ports.withLock { $0.append(port) }
        return port
    }

    /// Forgets one, if it was there: its socket is closed.
    static func remove(_ port: UInt32) {
        ports.withLock { ports in
            if let index = ports.firstIndex(of: port) { ports.remove(at: index) }
        }
    }
}
