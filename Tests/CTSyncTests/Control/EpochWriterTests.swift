// SPDX-License-Identifier: GPL-2.0-or-later

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

    @Test func theHighestIsInTheFileAtTheEnd() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        #expect(try write([5, 7, 6], controlFile: path) == 0)
        #expect(EpochFile(controlFile: path).epoch == 7)
        #expect(try write([7, 3], controlFile: path) == 0)
        #expect(EpochFile(controlFile: path).epoch == 7)
    }

    @Test func aFileThatCannotBeWrittenIsToldOnce() throws {
        let scratch = ScratchDirectory()
        ScratchDirectory.write("", to: scratch.file("file"))
        #expect(try write([5, 6, 7], controlFile: scratch.file("file/state")) == 1)
    }
}
