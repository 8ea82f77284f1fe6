// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// An open file descriptor whose last close the kernel makes wait for an RCU grace period: packet
/// sockets always, netfilter sockets while what a transaction of nftables removed is not freed. That is
/// 10 to 30 ms on a busy machine, and was seconds on one whose programs of the idle class did not come
/// to run. It is closed by a thread of its own, which nobody waits for.
struct LateDescriptor: ~Copyable, Sendable {
    /// The number, for system calls; valid while this value lives.
    let raw: CInt

    /// Takes over what a call returned.
    ///
    /// - Throws: `SystemError` with errno if the call returned less than zero.
    init(_ call: @autoclosure () -> String, _ open: () -> CInt) throws(SystemError) {
        raw = try retrying(call(), open)
    }

    deinit {
        ctsync_close_later(raw)
    }
}
