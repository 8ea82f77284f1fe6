// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct FileSystemKindTests {
    @Test func memoryIsToldFromTheRest() {
        #expect(FileSystemKind(of: "/dev/shm") == .memory)
        #expect(FileSystemKind(of: "/proc") == .other)
        #expect(FileSystemKind(of: "/dev/shm/no-such-file") == nil)
    }
}
