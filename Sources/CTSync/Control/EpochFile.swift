// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The highest epoch that this node has made or followed, where it outlives a boot: a line in a file.
///
/// That of a control file under /run is under /var/lib, any other's beside it.
/// A node that boots with its clock behind would otherwise claim less than its own last epoch.
/// `DiskWriter` writes it.
struct EpochFile: ~Copyable {
    let path: String
    /// The epoch in the file; 0 for none.
    private(set) var epoch: UInt64
    /// Why it could not be read or written last; nil if it could.
    private(set) var trouble: SystemError?

    /// Reads the file of a control file.
    init(controlFile: String) {
        path = Self.path(of: controlFile)
        epoch = 0
        do throws(SystemError) {
            let text = try TextFile.read(path, limit: 64)
            epoch = UInt64(text.prefix { $0.isNumber }) ?? 0
        } catch {
            if error.errno != ENOENT { trouble = error }
        }
    }

    /// Where the epoch of a control file is.
    static func path(of controlFile: String) -> String {
        for volatile in ["/run/", "/var/run/"] where controlFile.hasPrefix(volatile) {
            return "/var/lib/" + controlFile.dropFirst(volatile.count) + ".epoch"
        }
        return controlFile + ".epoch"
    }

    /// Records an epoch that is higher than all before.
    ///
    /// The file is replaced whole: a power cut leaves the old line or the new one.
    mutating func record(_ higher: UInt64) {
        guard higher > epoch else { return }
        epoch = higher
        do throws(SystemError) {
            try write()
            trouble = nil
        } catch {
            trouble = error
        }
    }

    /// Writes the file as it is: a rehearsal.
    ///
    /// - Throws: `SystemError` if an epoch could not be recorded.
    func rehearse() throws(SystemError) {
        try write()
    }

    private func write() throws(SystemError) {
        try ControlFile.makeDirectory(ControlFile.directory(of: path))
        try TextFile.replace(path, with: "\(epoch)\n", mode: 0o600)
    }
}
