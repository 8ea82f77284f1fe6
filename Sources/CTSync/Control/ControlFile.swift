// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The file by which the cluster manager gives the role and reads it.
///
/// Used by one thread: it polls `raw`, calls `take()` when that is readable, and `publish(_:)` once
/// the role has changed. No write of the manager is lost between the two:
///
/// 1. What was last taken or written is remembered, with the file's inode, size and time of
///    modification.
/// 2. `publish` takes a write lease (fcntl(2), F_SETLEASE). The kernel grants it only while nobody
///    else has the file open, and lets nobody open it until it is given back.
/// 3. Under the lease the file is compared with what is remembered. A write that came meanwhile is
///    the manager's newer word, so nothing is written and the caller takes that first.
/// 4. While a writer has the file open, there is nothing to publish yet: the closing wakes us.
/// 5. A mere reader (`tail -f`) must not hold that up for ever. So a new file changes places with
///    it instead, and the old one stays open here, watched, for a late writer's word.
///
/// File systems without leases are written plainly. The kernel announces the wish of others to open
/// a leased file by SIGIO, which ends a process that has not ignored it: `init` ignores it.
struct ControlFile: ~Copyable {
    /// What `take()` found.
    enum Request: Sendable, Equatable {
        /// Nothing new: the file holds the role last published, or somebody is still writing.
        case none
        /// Somebody wrote this role; publish the role that comes of it even if it is the same.
        case role(Role)
        /// Somebody wrote something else, shown here cut and printable; publish the true role.
        case refused(String)
        /// The file is gone; publish the role to have it again.
        case deleted
    }

    /// What `publish(_:)` came to.
    enum Publication: Sendable, Equatable {
        /// The file holds the role's name.
        case published
        /// Somebody wrote something newer: `take()` it, then publish what comes of it.
        case changed
        /// Somebody has it open for writing: publish again when `raw` is readable, which their
        /// closing makes it.
        case busy
    }

    /// The path, opened each time: another file may be moved over it.
    let path: String
    let notifications: Descriptor
    /// What was last taken or written; nil if there was no file.
    var known: ControlFileSnapshot?
    /// What the file was last made to hold.
    private var published: Role?
    /// From a call of `publish` until one succeeds: each word found meanwhile is a request, even
    /// one that names the role the file has, which this node may just have given up.
    private var isPublishing = false
    var displaced: [DisplacedControlFile] = []
    /// Files that were moved away are kept up to this number; then the oldest goes that nobody has
    /// open for writing. One for each publication that met a reader.
    static let displacedLimit = 32

    /// Watches the file's directory, which is made if it is missing; the file is left as it is.
    ///
    /// - Throws: `SystemError` if the directory cannot be made or watched.
    init(path: String) throws(SystemError) {
        signal(SIGIO, SIG_IGN)
        let directory = ControlFile.directory(of: path)
        try ControlFile.makeDirectory(directory)
        let notifications = try Descriptor("watch \(directory)") {
            ctsync_inotify_directory(directory)
        }
        let known = try ControlFile.snapshot(path)
        self.path = path
        self.notifications = notifications
        self.known = known
    }

    /// What to poll for POLLIN: the directory's inotify(7) descriptor.
    var raw: CInt { notifications.raw }

    /// The role that a killed daemon left behind, or that a manager wrote before the start.
    func leftover() -> Role? {
        known?.role
    }

    /// Finds out what was written; to be called when `raw` is readable.
    ///
    /// - Throws: `SystemError` if the file cannot be read.
    mutating func take() throws(SystemError) -> Request {
        drain()
        guard let file = try ControlFile.open(path) else {
            known = nil
            return published == nil && !isPublishing ? .none : .deleted
        }
        var now = try ControlFileSnapshot(of: file)
        // Only now: what was written into a file moved away, before the one just read, is older.
        let late = lateWord()
        if now == known {
            guard let late else { return .none }
            return late.role.map(Request.role) ?? .refused(late.shown)
        }
        if now.role == nil {
            // Perhaps half written: then the closing comes, and with it another call.
            guard ControlFileLease.read(file) != .refused else { return .none }
            defer { ControlFileLease.giveBack(file) }
            now = try ControlFileSnapshot(of: file)
        }
        known = now
        guard let role = now.role else { return .refused(now.shown) }
        return now.isCanonical(published) && !isPublishing ? .none : .role(role)
    }

    /// Writes the role, unless something newer than the last `take()` stands there.
    ///
    /// - Throws: `SystemError` if the file cannot be written.
    mutating func publish(_ role: Role) throws(SystemError) -> Publication {
        isPublishing = true
        let outcome = try outcome(of: role)
        if outcome == .published {
            published = role
            isPublishing = false
        }
        return outcome
    }

    /// What was last written into files that were moved away, and not yet taken. One that cannot be
    /// read any more is let go: it must not stand in the way of the file that is there.
    private mutating func lateWord() -> ControlFileSnapshot? {
        var late: ControlFileSnapshot?
        displaced.removeAll { file in
            do throws(SystemError) {
                if let word = try file.lateWord() { late = word }
                return false
            } catch {
                return true
            }
        }
        return late
    }

    private mutating func outcome(of role: Role) throws(SystemError) -> Publication {
        if let outcome = try look(role) { return outcome }
        if let outcome = try writeInPlace(role) { return outcome }
        return try moveOver(role)
    }

    /// Takes the file away, at an orderly stop.
    func remove() {
        unlink(path)
    }
}
