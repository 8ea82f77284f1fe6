// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// Bytes that end where the memory ends: reading past them is a crash.
struct GuardedPage: ~Copyable {
    private static let size = 4_096
    private let memory: MappedMemory

    init() throws {
        memory = try MappedMemory(byteCount: 2 * Self.size)
        mprotect(memory.base + Self.size, Self.size, PROT_NONE)
    }

    func read(_ message: [UInt8]) throws(NetlinkError) -> (CtnetlinkKind, Entry) {
        var entry = Entry(Key(.none))
        let kind = try EntryCodec.read(place(message).bytes, into: &entry)
        return (kind, entry)
    }

    func readExpectation(_ message: [UInt8]) throws(NetlinkError) -> Expected {
        var expectation = Expected(Key(.none))
        try ExpectationCodec.read(place(message).bytes, into: &expectation)
        return expectation
    }

    private func place(_ message: [UInt8]) -> UnsafeRawBufferPointer {
        let start = memory.base + Self.size - message.count
        for (index, byte) in message.enumerated() {
            start.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        return UnsafeRawBufferPointer(start: start, count: message.count)
    }
}
