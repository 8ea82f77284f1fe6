// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// An open file descriptor with one owner; closed when that owner lets go of it.
struct Descriptor: ~Copyable, Sendable {
    /// The number, for system calls; valid while this value lives.
    let raw: CInt

    /// Takes over an open descriptor.
    init(owning raw: CInt) {
        precondition(raw >= 0, "a closed descriptor")
        self.raw = raw
    }

    /// Takes over what a call returned.
    ///
    /// - Throws: `SystemError` with errno if the call returned less than zero.
    init(_ call: @autoclosure () -> String, _ open: () -> CInt) throws(SystemError) {
        raw = try retrying(call(), open)
    }

    deinit {
        close(raw)
    }
}
