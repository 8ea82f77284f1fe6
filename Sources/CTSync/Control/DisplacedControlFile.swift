// SPDX-License-Identifier: GPL-2.0-or-later

/// A control file that had to make place for a new one while it was open elsewhere; somebody who
/// was about to write into it may still do so.
final class DisplacedControlFile {
    private let file: Descriptor
    private var known: ControlFileSnapshot?

    /// Watches an open file; `known` is what has been taken from it so far.
    init(_ file: consuming Descriptor, known: ControlFileSnapshot?) {
        self.file = file
        self.known = known
    }

    /// Whether something stands in it that has not been taken.
    var hasWord: Bool {
        get throws(SystemError) { try ControlFileSnapshot(of: file) != known }
    }

    /// What has been written into it since; nil for nothing, or while a writer is at it.
    func lateWord() throws(SystemError) -> ControlFileSnapshot? {
        let now = try ControlFileSnapshot(of: file)
        guard now != known else { return nil }
        if now.role == nil && ControlFileLease.isBeingWritten(file) { return nil }
        known = now
        return now
    }

    /// Whether nobody has it open for writing, and everything in it has been taken.
    var isQuiet: Bool {
        if ControlFileLease.isBeingWritten(file) { return false }
        do throws(SystemError) {
            return try !hasWord
        } catch {
            return true
        }
    }
}
