// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The sysctls of connection tracking, net.netfilter.*, of the calling thread's namespace.
enum KernelSettings {
    private static let directory = "/proc/sys/net/netfilter/"

    /// net.netfilter.nf_conntrack_max: how many entries all namespaces together may have.
    ///
    /// - Throws: `SystemError` of open(2) or read(2).
    static func conntrackMax() throws(SystemError) -> UInt64 {
        try read("nf_conntrack_max")
    }

    /// net.netfilter.nf_conntrack_count: how many entries this namespace has.
    ///
    /// - Throws: `SystemError` of open(2) or read(2).
    static func conntrackCount() throws(SystemError) -> UInt64 {
        try read("nf_conntrack_count")
    }

    /// Reads one of these sysctls; EBADMSG if it is no number.
    ///
    /// - Throws: `SystemError` of open(2) or read(2).
    static func read(_ name: String) throws(SystemError) -> UInt64 {
        let path = directory + name
        let file = try Descriptor("open \(path)") { ctsync_open(path, O_RDONLY, 0) }
        var text: InlineArray<32, UInt8> = .init(repeating: 0)
        let length = try withUnsafeMutableBytes(of: &text) { bytes throws(SystemError) in
            try retrying("read \(path)") {
                Glibc.read(file.raw, bytes.baseAddress, bytes.count)
            }
        }
        var value: UInt64 = 0
        var digits = 0
        for index in 0..<length {
            guard text[index] >= 0x30, text[index] <= 0x39 else { break }
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            guard !isTooLarge else { throw SystemError("read \(path)", errno: ERANGE) }
            value = product &+ UInt64(text[index] - 0x30)
            digits += 1
        }
        guard digits > 0 else { throw SystemError("read \(path)", errno: EBADMSG) }
        return value
    }

    /// Writes one of these sysctls.
    ///
    /// - Throws: `SystemError` of open(2) or write(2).
    static func write(_ name: String, _ value: UInt64) throws(SystemError) {
        let path = directory + name
        let file = try Descriptor("open \(path)") { ctsync_open(path, O_WRONLY, 0) }
        let text = Array("\(value)\n".utf8)
        try retrying("write \(path)") { Glibc.write(file.raw, text, text.count) }
    }
}
