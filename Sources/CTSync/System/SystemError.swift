// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// A system call that failed: its name and the error number it left.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The call, and what it was given where that helps a reader ("open /run/ct_sync/state").
    let call: String
    /// errno(3) after the call.
    package let errno: CInt

    /// Records a failed call with an error number.
    package init(_ call: String, errno: CInt) {
        self.call = call
        self.errno = errno
    }

    /// The call and the error number's text.
    package var description: String {
        "\(call): \(String(cString: strerror(errno)))"
    }
}

/// Runs a system call again while a signal interrupts it; throws what it failed with otherwise.
///
/// EBADF and EFAULT are mistakes of this program, not conditions, and stop it.
@discardableResult
func retrying<Result: SignedInteger>(
    _ call: @autoclosure () -> String, _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result >= 0 { return result }
        let number = Glibc.errno
        if number == EINTR { continue }
        precondition(
            number != EBADF && number != EFAULT, "\(call()): a stale descriptor or pointer")
        throw SystemError(call(), errno: number)
    }
}

/// The same for a call that may have nothing to do: nil for EAGAIN.
func retryingNonBlocking<Result: SignedInteger>(
    _ call: @autoclosure () -> String, _ body: () -> Result
) throws(SystemError) -> Result? {
    do throws(SystemError) {
        return try retrying(call(), body)
    } catch {
        if error.errno == EAGAIN || error.errno == EWOULDBLOCK { return nil }
        throw error
    }
}
