// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The file with the cluster's keys: one of 64 hexadecimal digits a line, the first the one to seal
/// with, the others still or already accepted. Empty lines and those that begin with # say nothing.
///
/// No message has a part of its content in it.
package enum SealKeyFile {
    /// Far more than four keys with a word about each.
    static let byteLimit = 4_096
    /// What systemd's LoadCredential= calls it.
    static let credentialName = "ct_sync.key"

    /// Reads the keys.
    ///
    /// - Throws: `ConfigurationError` if the file cannot be read, others can, or a line is no key.
    static func read(_ path: String) throws(ConfigurationError) -> [SealKey] {
        var bytes = try content(path)
        defer { bytes.withUnsafeMutableBytes { ctsync_forget($0.baseAddress, $0.count) } }
        return try parse(bytes, path)
    }

    /// Makes a file with a new key, which only its owner can read.
    ///
    /// - Throws: `ConfigurationError` if it is there already, or cannot be written.
    package static func generate(_ path: String) throws(ConfigurationError) {
        do throws(SystemError) {
            let text = Array(newLine().utf8)
            let file = try Descriptor("open \(path)") {
                ctsync_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            }
            let count = try retrying("write \(path)") { write(file.raw, text, text.count) }
            guard count == text.count else { throw SystemError("write \(path)", errno: ENOSPC) }
            try retrying("fsync \(path)") { fsync(file.raw) }
        } catch {
            throw ConfigurationError("no key was made: \(error)")
        }
    }

    /// A new key as a line of such a file.
    package static func newLine() -> String { SealKey.random().text + "\n" }

    /// The path of systemd's credential, if the service has been given one; also of one that cannot
    /// be read, which is an error and no reason to do without.
    static func credential() -> String? {
        guard let directory = getenv("CREDENTIALS_DIRECTORY") else { return nil }
        let path = String(cString: directory) + "/" + credentialName
        return access(path, F_OK) == 0 || errno != ENOENT ? path : nil
    }

    private static func content(_ path: String) throws(ConfigurationError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteLimit + 1)
        let status: stat
        let count: Int
        do throws(SystemError) {
            let file = try Descriptor("open \(path)") {
                ctsync_open(path, O_RDONLY | O_NONBLOCK, 0)
            }
            var found = stat()
            try retrying("fstat \(path)") { fstat(file.raw, &found) }
            status = found
            count = try retrying("read \(path)") { Glibc.read(file.raw, &bytes, bytes.count) }
        } catch {
            throw ConfigurationError("the key file cannot be read: \(error)")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ConfigurationError("the key file \(path) is not a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw ConfigurationError(
                "others than its owner can read the key file \(path) or write it; "
                    + "chmod 0600 \(path), and use a new key if somebody may have read it")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw ConfigurationError("the key file \(path) belongs to neither root nor the daemon")
        }
        guard count <= byteLimit else {
            throw ConfigurationError("the key file \(path) has more than \(byteLimit) bytes")
        }
        return Array(bytes[..<count])
    }

    /// Reads the keys, one a line, the first the one that seals.
    ///
    /// - Throws: `ConfigurationError` that names the line.
    static func parse(_ bytes: [UInt8], _ path: String) throws(ConfigurationError) -> [SealKey] {
        var keys: [SealKey] = []
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (number, line) in zip(1..., lines) {
            let digits = trimmed(line)
            if digits.isEmpty || digits.first == UInt8(ascii: "#") { continue }
            guard let key = key(digits) else {
                throw ConfigurationError(
                    "\(path):\(number): a key is 64 hexadecimal digits; ct_sync genkey makes one")
            }
            guard !keys.contains(where: { $0 == key }) else {
                throw ConfigurationError("\(path):\(number): this key is there twice")
            }
            keys.append(key)
        }
        guard (1...SealKeyRing.limit).contains(keys.count) else {
            throw ConfigurationError(
                "the key file \(path) has \(keys.count) keys; 1 to \(SealKeyRing.limit) are allowed"
            )
        }
        return keys
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0D }
        var rest = line.drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }

    private static func key(_ digits: ArraySlice<UInt8>) -> SealKey? {
        guard digits.count == 2 * SealKey.byteCount else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = value(of: digit) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return SealKey(bytes)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
