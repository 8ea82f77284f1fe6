// SPDX-License-Identifier: GPL-2.0-or-later

internal import CFuzzer
import Glibc

/// Hands the command line to libFuzzer, which calls the body with each input it makes.
///
/// SwiftPM gives the main function a name of its own, so libFuzzer's cannot be the program's.
package func fuzz(_ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt) -> Never {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    exit(LLVMFuzzerRunDriver(&count, &arguments, body))
}
