// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The groups of this machine, as group(5) has them.
enum GroupFile {
    /// The group of those who may look at the daemon and not change it.
    static let viewers = "ct_sync"

    /// The number of a group; nil if there is none of this name.
    static func number(of name: String, path: String = "/etc/group") -> gid_t? {
        do throws(SystemError) {
            let text = try TextFile.read(path, limit: 1 << 20)
            for line in text.split(separator: "\n") {
                let fields = line.split(separator: ":", omittingEmptySubsequences: false)
                if fields.count >= 3, fields[0] == name { return gid_t(fields[2]) }
            }
            return nil
        } catch {
            return nil
        }
    }
}
