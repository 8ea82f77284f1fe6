// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What stood in the control file at one moment, and which file it was.
///
/// Two that are equal, the older of which is still held, have no write between them: since Linux
/// 6.13 the time of modification tells even the same text written again, before that unless both
/// writes fall in one clock tick. A mere change of owner or mode makes no difference.
struct ControlFileSnapshot: Equatable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int
    private let modifiedSeconds: Int
    private let modifiedNanoseconds: Int
    private let text: [UInt8]
    /// Keeps the inode's number from being given to another file as long as this may be compared.
    private var pin: ControlFilePin?

    /// More than a role is never read; the size tells a change beyond it.
    private static let textLimit = 128
    /// A file that changes at each look is taken as it is in the end; another look will follow.
    private static let readLimit = 16

    /// Reads an open file, again while it is being written.
    init(of file: borrowing Descriptor) throws(SystemError) {
        var last = try ControlFileSnapshot(reading: file)
        for _ in 0..<ControlFileSnapshot.readLimit {
            let next = try ControlFileSnapshot(reading: file)
            if next == last { break }
            last = next
        }
        self = last
        pin = ControlFilePin(file)
    }

    /// Whether no write lies between the two.
    static func == (one: ControlFileSnapshot, other: ControlFileSnapshot) -> Bool {
        one.device == other.device && one.inode == other.inode && one.size == other.size
            && one.modifiedSeconds == other.modifiedSeconds
            && one.modifiedNanoseconds == other.modifiedNanoseconds && one.text == other.text
    }

    /// Reads it once: the text may be newer than the rest.
    private init(reading file: borrowing Descriptor) throws(SystemError) {
        let raw = file.raw
        var status = stat()
        try retrying("stat of the control file") { fstat(raw, &status) }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int(status.st_size)
        modifiedSeconds = status.st_mtim.tv_sec
        modifiedNanoseconds = status.st_mtim.tv_nsec
        var bytes = [UInt8](repeating: 0, count: ControlFileSnapshot.textLimit)
        let count = try retrying("read the control file") { pread(raw, &bytes, bytes.count, 0) }
        text = Array(bytes[..<count])
        pin = nil
    }

    /// The first line, without blanks around it.
    private var line: ArraySlice<UInt8> {
        var line = text.prefix { $0 != UInt8(ascii: "\n") }
        while let first = line.first, ControlFileSnapshot.isBlank(first) { line.removeFirst() }
        while let last = line.last, ControlFileSnapshot.isBlank(last) { line.removeLast() }
        return line
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    /// The role that the first line names.
    var role: Role? {
        Role(text: String(decoding: line, as: UTF8.self))
    }

    /// The first line for a log: cut, and printable.
    var shown: String {
        ConfigurationError.printable(line)
    }

    /// Whether nothing stands in it.
    var isEmpty: Bool { size == 0 }

    /// Whether this is exactly what publishing the role writes.
    func isCanonical(_ role: Role?) -> Bool {
        guard let role else { return false }
        return text == ControlFileSnapshot.canonicalText(role)
    }

    /// What publishing a role writes.
    static func canonicalText(_ role: Role) -> [UInt8] {
        Array("\(role)\n".utf8)
    }
}
