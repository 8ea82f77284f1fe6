// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// What asking for a lease of a file came to; closing the descriptor gives it back.
enum ControlFileLease {
    /// Ours: nobody can open the file (write lease) or open it for writing (read lease).
    case granted
    /// Somebody has the file open.
    case refused
    /// The file system has no leases.
    case unknown

    /// A read lease, refused only by writers; the descriptor must be one that only reads.
    static func read(_ file: borrowing Descriptor) -> ControlFileLease {
        result(ctsync_read_lease(file.raw))
    }

    /// A write lease, refused by everybody else.
    static func write(_ file: borrowing Descriptor) -> ControlFileLease {
        result(ctsync_write_lease(file.raw, 1))
    }

    /// Whether somebody has a file open for writing; the descriptor must be one that only reads.
    static func isBeingWritten(_ file: borrowing Descriptor) -> Bool {
        let lease = read(file)
        if lease == .granted { giveBack(file) }
        return lease == .refused
    }

    /// Gives a lease back before the descriptor is closed.
    static func giveBack(_ file: borrowing Descriptor) {
        _ = ctsync_write_lease(file.raw, 0)
    }

    private static func result(_ result: CInt) -> ControlFileLease {
        if result == 0 { return .granted }
        return errno == EAGAIN || errno == EBUSY ? .refused : .unknown
    }
}
