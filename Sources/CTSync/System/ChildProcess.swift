// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// A program run to its end, for work that has no other interface than a command line.
///
/// Input and output are files in memory, not pipes, so neither side waits for the other. The program
/// acts in the network namespace of the calling thread.
enum ChildProcess {
    /// How a program ended.
    package struct Outcome {
        /// The exit status; 128 and the signal's number if a signal ended it.
        let status: CInt
        /// What it wrote to its standard output and error.
        let output: String
    }

    /// The directories in which programs are looked for, in this order.
    static let directories = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"]

    /// The path of a program; nil if no directory holds it.
    static func find(_ program: String) -> String? {
        directories.lazy.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    /// Runs a program and waits for its end.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - arguments: what it is given, without its name.
    ///   - input: what it reads from its standard input.
    /// - Throws: `SystemError` if it cannot be started; how it ends is no error here.
    static func run(
        _ path: String, _ arguments: [String], input: String = ""
    ) throws(SystemError) -> Outcome {
        let inputFile = try Descriptor("memfd_create") { ctsync_memory_file("input") }
        let outputFile = try Descriptor("memfd_create") { ctsync_memory_file("output") }
        try write(input, to: inputFile.raw)
        var vector: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        vector.append(nil)
        defer { for argument in vector { free(argument) } }
        var child: pid_t = 0
        let result = ctsync_spawn(path, vector, inputFile.raw, outputFile.raw, &child)
        guard result == 0 else { throw SystemError("posix_spawn \(path)", errno: result) }
        let status = try retrying("waitpid \(path)") { ctsync_wait_child(child) }
        return Outcome(status: status, output: try contents(of: outputFile.raw))
    }

    private static func write(_ text: String, to file: CInt) throws(SystemError) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            written += try retrying("write") {
                bytes.withUnsafeBytes {
                    Glibc.write(
                        file, $0.baseAddress?.advanced(by: written),
                        bytes.count - written)
                }
            }
        }
        try retrying("lseek") { lseek(file, 0, SEEK_SET) }
    }

    private static func contents(of file: CInt) throws(SystemError) -> String {
        let size = try retrying("lseek") { lseek(file, 0, SEEK_END) }
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let got = try retrying("pread") {
                bytes.withUnsafeMutableBytes {
                    pread(file, $0.baseAddress?.advanced(by: count), size - count, count)
                }
            }
            guard got > 0 else { break }
            count += got
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
