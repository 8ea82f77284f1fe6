// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The three ways of `publish(_:)`; each returns nil if the next one is to be tried.
extension ControlFile {
    /// Looks without touching the file: perhaps there is nothing to do, or not yet.
    ///
    /// Only reads, so that closing it again does not wake us: no endless loop beside a writer.
    mutating func look(_ role: Role) throws(SystemError) -> Publication? {
        guard let file = try openOrCreate() else { return .changed }
        if let outcome = try compare(file, role) { return outcome }
        return ControlFileLease.isBeingWritten(file) ? .busy : nil
    }

    /// Writes while nobody else has the file open, and nobody else can open it.
    mutating func writeInPlace(_ role: Role) throws(SystemError) -> Publication? {
        guard let file = try ControlFile.open(path, O_RDWR) else { return .changed }
        guard ControlFileLease.write(file) != .refused else { return nil }
        // Closing alone would not do while a child process shares the descriptor.
        defer { ControlFileLease.giveBack(file) }
        if let outcome = try compare(file, role) { return outcome }
        // The first line is the role at each moment, even if we die between the two calls.
        do throws(SystemError) {
            try ControlFile.write(role, to: file, path)
        } catch {
            // What the attempt has left is nobody's word.
            known = try ControlFileSnapshot(of: file)
            throw error
        }
        known = try ControlFileSnapshot(of: file)
        return .published
    }

    /// Lets a new file and the one that is being read change places.
    mutating func moveOver(_ role: Role) throws(SystemError) -> Publication {
        guard let reader = try ControlFile.open(path) else { return .changed }
        guard !ControlFileLease.isBeingWritten(reader) else { return .busy }
        if let outcome = try compare(reader, role) { return outcome }
        let new = path + ".new"
        unlink(new)
        let file = try Descriptor("create \(new)") {
            ctsync_open(new, O_RDWR | O_CREAT | O_EXCL, 0o644)
        }
        defer { unlink(new) }
        try ControlFile.copyOwner(from: reader, to: file)
        try ControlFile.write(role, to: file, new)
        // Before anybody else can find it: what is written into it later is not ours.
        let ours = try ControlFileSnapshot(of: file)
        guard ctsync_exchange(new, path) == 0 else {
            if errno == ENOENT { return .changed }
            throw SystemError("rename \(new)", errno: errno)
        }
        let old = try Descriptor("open \(new)") { ctsync_open(new, O_RDONLY | O_NONBLOCK, 0) }
        let left = DisplacedControlFile(old, known: known)
        if displaced.count == ControlFile.displacedLimit {
            displaced.remove(at: displaced.firstIndex { $0.isQuiet } ?? 0)
        }
        displaced.append(left)
        known = ours
        return try left.hasWord ? .changed : .published
    }

    /// What a publication comes to without writing: nil if the role is to be written.
    private func compare(
        _ file: borrowing Descriptor, _ role: Role
    ) throws(SystemError) -> Publication? {
        let now = try ControlFileSnapshot(of: file)
        guard now == known else { return .changed }
        return now.isCanonical(role) ? .published : nil
    }

    /// Opens the file; makes an empty one, remembered as such, where there is none. Nil where
    /// somebody else makes or fills it at this moment.
    private mutating func openOrCreate() throws(SystemError) -> Descriptor? {
        if let file = try ControlFile.open(path) { return file }
        let directory = ControlFile.directory(of: path)
        try ControlFile.makeDirectory(directory)
        try watch(directory)
        let made = ctsync_open(path, O_RDONLY | O_CREAT | O_EXCL, 0o644)
        guard made >= 0 else {
            let reason = errno
            if reason == EEXIST {
                guard ControlFile.isLinkToNothing(path) else { return nil }
                throw SystemError("create \(path), a symbolic link to nothing", errno: ENOENT)
            }
            throw SystemError("create \(path)", errno: reason)
        }
        let file = Descriptor(owning: made)
        fchmod(made, 0o644)
        let empty = try ControlFileSnapshot(of: file)
        guard empty.isEmpty else { return nil }
        known = empty
        return file
    }
}

/// The calls beneath.
extension ControlFile {
    /// Opens a file; nil if there is none. Never waits for a lease or a pipe.
    static func open(_ path: String, _ flags: CInt = O_RDONLY) throws(SystemError) -> Descriptor? {
        do throws(SystemError) {
            return try Descriptor("open \(path)") { ctsync_open(path, flags | O_NONBLOCK, 0) }
        } catch {
            guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
            return nil
        }
    }

    /// Whether a path is a symbolic link whose file is missing.
    static func isLinkToNothing(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return false }
        return stat(path, &status) != 0
    }

    /// What stands in a file; nil if there is none.
    static func snapshot(_ path: String) throws(SystemError) -> ControlFileSnapshot? {
        guard let file = try open(path) else { return nil }
        return try ControlFileSnapshot(of: file)
    }

    /// Writes a role's text over whatever a file holds.
    static func write(
        _ role: Role, to file: borrowing Descriptor, _ path: String
    ) throws(SystemError) {
        let text = ControlFileSnapshot.canonicalText(role)
        let raw = file.raw
        try retrying("write \(path)") { pwrite(raw, text, text.count, 0) }
        try retrying("truncate \(path)") { ftruncate(raw, text.count) }
    }

    /// Gives a new file the owner and the mode of the one in whose place it comes.
    ///
    /// Without the right to change the owner it stays ours: the role is worth more than the owner.
    static func copyOwner(
        from old: borrowing Descriptor, to new: borrowing Descriptor
    ) throws(SystemError) {
        let (from, to) = (old.raw, new.raw)
        var (before, now) = (stat(), stat())
        try retrying("stat of the control file") { fstat(from, &before) }
        try retrying("stat of the new control file") { fstat(to, &now) }
        let isOurs = before.st_uid == now.st_uid && before.st_gid == now.st_gid
        if !isOurs, fchown(to, before.st_uid, before.st_gid) < 0, errno != EPERM {
            throw SystemError("chown of the control file", errno: errno)
        }
        try retrying("chmod of the control file") { fchmod(to, before.st_mode & 0o7777) }
    }

    /// The directory that a path lies in.
    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a directory and those above it, if they are missing.
    static func makeDirectory(_ path: String) throws(SystemError) {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, path.contains("/") else {
            throw SystemError("mkdir \(path)", errno: errno)
        }
        try makeDirectory(directory(of: path))
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw SystemError("mkdir \(path)", errno: errno)
        }
    }

    /// Watches a directory that may have been made again since the start.
    func watch(_ directory: String) throws(SystemError) {
        let raw = notifications.raw
        let mask = UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_DELETE)
        try retrying("watch \(directory)") { inotify_add_watch(raw, directory, mask) }
    }

    /// Takes the notices off `raw`; what they tell is read from the file itself.
    func drain() {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while read(notifications.raw, &bytes, bytes.count) > 0 {}
    }
}
