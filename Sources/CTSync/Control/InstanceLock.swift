// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Keeps a second daemon off a control file; the kernel takes it back when the process dies.
///
/// Its file has a line each for the process id, the highest epoch that this node has made or followed,
/// and, if it was master, the epoch of the last word of what it saw then, 1 if nobody else may have that
/// or 0, and that word's sequence number; of a term that goes on it is the largest number. They
/// outlive the process, so that a master started again makes a higher epoch even if the clock has been
/// set back, and knows how late its kernel's word is.
///
/// Whoever can open the file can take its lock and keep the daemon from starting: it is the daemon's
/// own (mode 0600), in a directory that nobody else can put anything into.
struct InstanceLock: ~Copyable {
    /// What the lock's name has behind that of the control file.
    static let suffix = ".lock"

    /// How long a holder is waited for that has been killed and is not quite dead.
    private static let patience = 2 * Duration.second

    private let file: Descriptor
    /// The highest epoch recorded, by this process or one before; 0 for none.
    private(set) var epoch: UInt64
    /// The last word of what the node saw as master, in this process or one before.
    private(set) var last: Basis
    /// Whether nobody else may have that.
    private(set) var hasMore: Bool

    /// Takes the lock of a control file and writes this process's id into it.
    ///
    /// A process that was killed has the lock until the kernel has taken its memory back, some tens
    /// of milliseconds: it is waited for, so that a daemon can be started again at once.
    /// The file stays when the lock is given back: taking it away could split the lock in two.
    /// - Throws: `ConfigurationError` if another daemon has it, or if it cannot be made.
    init(controlFile: String) throws(ConfigurationError) {
        let path = controlFile + InstanceLock.suffix
        let file = try InstanceLock.open(path)
        let raw = file.raw
        guard InstanceLock.take(raw) else {
            guard errno == EWOULDBLOCK else {
                throw ConfigurationError(
                    "\(path) cannot be locked: " + String(cString: strerror(errno)))
            }
            let holder = InstanceLock.numbers(raw).first.map { " (process \($0))" } ?? ""
            throw ConfigurationError(
                "another ct_sync\(holder) has the control file \(controlFile); stop it first, or "
                    + "give this one another with --control-file", at: .notReady)
        }
        // An earlier version ended with the epoch of the last term.
        let found = Array(InstanceLock.numbers(raw).dropFirst().prefix(4))
        let numbers = found + [0, 0, 0, .max].dropFirst(found.count)
        let last = numbers[1] == 0 ? .none : Basis(epoch: numbers[1], sequence: numbers[3])
        guard InstanceLock.write(raw, numbers[0], last, numbers[2] != 0) else {
            throw ConfigurationError(
                "\(path) cannot be written: " + String(cString: strerror(errno)))
        }
        self.file = file
        (epoch, self.last, hasMore) = (numbers[0], last, numbers[2] != 0)
    }

    /// Records an epoch that is higher than all before; where that fails the clock has to do.
    mutating func record(_ higher: UInt64) {
        guard higher > epoch else { return }
        epoch = higher
        _ = InstanceLock.write(file.raw, epoch, last, hasMore)
    }

    /// Records the last word of what this node saw as master, and whether nobody else may have that.
    mutating func record(last word: Basis, hasMore: Bool) {
        guard word != last || hasMore != self.hasMore else { return }
        (last, self.hasMore) = (word, hasMore)
        _ = InstanceLock.write(file.raw, epoch, last, hasMore)
    }

    deinit {
        // Closing alone would not do while a child process shares the descriptor.
        flock(file.raw, LOCK_UN)
    }

    /// Locks the file, waiting for a holder that dies; false, with errno, where it cannot be had.
    private static func take(_ raw: CInt) -> Bool {
        let deadline = Clock.now() + patience
        while flock(raw, LOCK_EX | LOCK_NB) != 0 {
            let reason = errno
            guard reason == EWOULDBLOCK || reason == EINTR, Clock.now() < deadline,
                let holder = numbers(raw).first, isDying(holder)
            else {
                errno = reason
                return false
            }
            usleep(5_000)
        }
        return true
    }

    /// Whether a process is gone or about to be: killed, exiting, or dead and not yet collected.
    ///
    /// Fields of proc_pid_stat(5): 3 the state, 9 the flags, 31 the signals it has still to take.
    private static func isDying(_ process: UInt64) -> Bool {
        do throws(SystemError) {
            guard let file = try ControlFile.open("/proc/\(process)/stat") else { return true }
            var bytes = [UInt8](repeating: 0, count: 1_024)
            let count = try retrying("read /proc") { read(file.raw, &bytes, bytes.count) }
            // The name before may have any character; the fields behind it begin with the third.
            guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { return false }
            let fields = String(decoding: bytes[(end + 1)..<count], as: UTF8.self)
                .split(separator: " ")
            guard fields.count > 28, let flags = UInt64(fields[6]),
                let pending = UInt64(fields[28])
            else { return false }
            // PF_EXITING and PF_SIGNALED of linux/sched.h.
            return "ZX".contains(fields[0]) || flags & 0x404 != 0
                || pending & (1 << (UInt64(SIGKILL) - 1)) != 0
        } catch {
            return error.errno == ESRCH
        }
    }

    private static func open(_ path: String) throws(ConfigurationError) -> Descriptor {
        let directory = ControlFile.directory(of: path)
        do throws(SystemError) {
            try ControlFile.makeDirectory(directory)
        } catch {
            throw ConfigurationError("the lock of the control file cannot be made: \(error)")
        }
        try refuseIfOpen(directory)
        let file: Descriptor
        do throws(SystemError) {
            file = try Descriptor("open \(path)") {
                ctsync_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
            }
        } catch {
            if error.errno == ELOOP {
                throw ConfigurationError("\(path) is a symbolic link; remove it")
            }
            throw ConfigurationError("the lock of the control file cannot be made: \(error)")
        }
        try claim(file.raw, path)
        return file
    }

    /// Refuses a directory that others could put a lock of their own into.
    private static func refuseIfOpen(_ directory: String) throws(ConfigurationError) {
        var status = stat()
        guard stat(directory, &status) == 0 else {
            throw ConfigurationError("\(directory): " + String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IWOTH == 0, status.st_uid == 0 || status.st_uid == geteuid()
        else {
            throw ConfigurationError(
                "others can write to \(directory), the directory of the control file; give it "
                    + "to root, with mode 0755")
        }
    }

    /// Takes a file for the daemon's own: a regular one, with no second name and nobody else's.
    private static func claim(_ raw: CInt, _ path: String) throws(ConfigurationError) {
        var status = stat()
        guard fstat(raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            status.st_uid == 0 || status.st_uid == geteuid()
        else { throw ConfigurationError("\(path) is not a file of the daemon's own; remove it") }
        // One that an earlier version made.
        guard status.st_mode & 0o077 == 0 || fchmod(raw, 0o600) == 0 else {
            throw ConfigurationError("\(path): " + String(cString: strerror(errno)))
        }
    }

    /// Overwrites all lines. The process id has the same length as long as the process lives, and an
    /// epoch never grows shorter, so no reader finds less than a line.
    private static func write(
        _ raw: CInt, _ epoch: UInt64, _ word: Basis, _ hasMore: Bool
    ) -> Bool {
        let last =
            word.epoch == 0 ? "" : "\(word.epoch)\n\(hasMore ? 1 : 0)\n\(word.sequence)\n"
        let text = Array("\(getpid())\n\(epoch)\n\(last)".utf8)
        return pwrite(raw, text, text.count, 0) == text.count && ftruncate(raw, text.count) == 0
    }

    /// The numbers in the file, a line each, up to the first that is none.
    private static func numbers(_ raw: CInt) -> [UInt64] {
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = max(pread(raw, &bytes, bytes.count, 0), 0)
        var numbers: [UInt64] = []
        for line in bytes[..<count].split(separator: UInt8(ascii: "\n")) {
            guard let number = UInt64(String(decoding: line, as: UTF8.self)) else { break }
            numbers.append(number)
        }
        return numbers
    }
}
