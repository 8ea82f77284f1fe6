// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Keeps a second daemon off a control file; the kernel takes it back when the process dies.
public struct InstanceLock: ~Copyable {
    /// What the lock's name has behind that of the control file.
    public static let suffix = ".lock"

    private let file: Descriptor

    /// Takes the lock of a control file and writes this process's id into it.
    ///
    /// The file stays when the lock is given back: taking it away could split the lock in two.
    /// - Throws: `ConfigurationError` where another daemon has it, or where it cannot be made.
    public init(controlFile: String) throws(ConfigurationError) {
        let path = controlFile + InstanceLock.suffix
        let file = try InstanceLock.open(path)
        let raw = file.raw
        guard flock(raw, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else {
                throw ConfigurationError(
                    "\(path) cannot be locked: " + String(cString: strerror(errno)))
            }
            let holder = InstanceLock.holder(raw).map { " (process \($0))" } ?? ""
            throw ConfigurationError(
                "another ct_sync\(holder) has the control file \(controlFile); stop it first, or "
                    + "give this one another with --control-file")
        }
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(raw, 0) < 0 || pwrite(raw, text, text.count, 0) < 0 {
            throw ConfigurationError(
                "\(path) cannot be written: " + String(cString: strerror(errno)))
        }
        self.file = file
    }

    deinit {
        // Closing alone would not do while a child process shares the descriptor.
        flock(file.raw, LOCK_UN)
    }

    private static func open(_ path: String) throws(ConfigurationError) -> Descriptor {
        do throws(SystemError) {
            try ControlFile.makeDirectory(ControlFile.directory(of: path))
            return try Descriptor("open \(path)") { ctsync_open(path, O_RDWR | O_CREAT, 0o644) }
        } catch {
            throw ConfigurationError("the lock of the control file cannot be made: \(error)")
        }
    }

    /// The process id in the file; nil where the holder has not written it yet.
    private static func holder(_ raw: CInt) -> Int? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(raw, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        let digits = bytes[..<count].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
