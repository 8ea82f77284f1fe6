// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// What a path's file system is kept on.
enum FileSystemKind {
    /// Memory: tmpfs or ramfs. A write to it waits for nothing.
    case memory
    /// A disk, a network, or what else.
    case other

    /// Looks; nil if the path does not exist or may not be looked at.
    init?(of path: String) {
        switch ctsync_is_in_memory(path) {
        case 1: self = .memory
        case 0: self = .other
        default: return nil
        }
    }
}
