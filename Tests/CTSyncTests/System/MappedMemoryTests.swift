// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

/// Memory that is used all over is asked for in huge pages, and no other.
@Suite(
    .enabled(if: FileManager.default.fileExists(atPath: "/sys/kernel/mm/transparent_hugepage")))
struct MappedMemoryTests {
    @Test(arguments: [false, true]) func hugePagesAreAskedFor(_ inHugePages: Bool) throws {
        let memory = try MappedMemory(byteCount: 4 << 20, inHugePages: inHugePages)
        let isAsked = try areHugePagesAskedFor(at: memory.base)
        #expect(isAsked == inHugePages && memory.count == 4 << 20)
    }

    /// Each packet stands somewhere else, so a master would stop at nearly each event until it has used all.
    @Test func theRingIsInHugePages() throws {
        let ring = try SendRing(slotCount: 8_192, slotByteCount: 1_452, wake: nil)
        let first = try #require(ring.slots.packet(0).baseAddress)
        let isAsked = try areHugePagesAskedFor(at: first)
        #expect(isAsked && ring.slotCount == 8_192)
    }

    /// VmFlags of the mapping, as proc_pid_smaps(5) has them.
    private func areHugePagesAskedFor(at address: UnsafeMutableRawPointer) throws -> Bool {
        let text = try TextFile.read("/proc/self/smaps", limit: 16 << 20)
        var isThere = false
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if bounds.count == 2 {
                isThere = (bounds[0]..<bounds[1]).contains(UInt(bitPattern: address))
            } else if isThere, words[0] == "VmFlags:" {
                return words.contains("hg")
            }
        }
        throw NotMapped()
    }

    private struct NotMapped: Error {}
}
