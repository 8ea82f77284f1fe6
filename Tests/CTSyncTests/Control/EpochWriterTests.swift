// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Synchronization
import Testing

@testable import CTSync

/// Epochs that are written in the background.
@Suite struct EpochWriterTests {
    private final class Troubles: Sendable {
        let count = Atomic(0)
    }

    /// - Returns: how often trouble was told.
    private func write(_ epochs: [UInt64], controlFile: String) throws -> Int {
        let troubles = Troubles()
        let writer = try EpochWriter(EpochFile(controlFile: controlFile)) { _ in
            troubles.count.wrappingAdd(1, ordering: .relaxed)
        }
        let thread = try writer.start()
        for epoch in epochs { writer.record(epoch) }
        writer.end()
        thread.join()
        #expect((writer.trouble == nil) == (troubles.count.load(ordering: .relaxed) == 0))
        return troubles.count.load(ordering: .relaxed)
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "ct_sync-epoch-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func theHighestIsInTheFileAtTheEnd() throws {
        try withFolder { (folder: String) throws in
            #expect(try write([5, 7, 6], controlFile: folder + "/state") == 0)
            #expect(EpochFile(controlFile: folder + "/state").epoch == 7)
            #expect(try write([7, 3], controlFile: folder + "/state") == 0)
            #expect(EpochFile(controlFile: folder + "/state").epoch == 7)
        }
    }

    @Test func aFileThatCannotBeWrittenIsToldOnce() throws {
        try withFolder { folder in
            try Data().write(to: URL(fileURLWithPath: folder + "/file"))
            #expect(try write([5, 6, 7], controlFile: folder + "/file/state") == 1)
        }
    }
}
