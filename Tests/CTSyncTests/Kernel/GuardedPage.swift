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
        let start = memory.base + Self.size - message.count
        for (index, byte) in message.enumerated() {
            start.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
        var entry = Entry(Key(.none))
        let bytes = UnsafeRawBufferPointer(start: start, count: message.count).bytes
        let kind = try EntryReader.read(bytes, into: &entry)
        return (kind, entry)
    }
}
