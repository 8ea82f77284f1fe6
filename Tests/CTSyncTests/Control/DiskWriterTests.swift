// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Synchronization
import Testing

@testable import CTSync

/// What is written in the background.
@Suite struct DiskWriterTests {
    private final class Troubles: Sendable {
        let count = Atomic(0)
    }

    /// - Returns: how often trouble was told.
    private func write(_ epochs: [UInt64], controlFile: String) throws -> Int {
        let troubles = Troubles()
        let writer = try DiskWriter(EpochFile(controlFile: controlFile)) { _ in
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

    @Test func theLastHistoryIsInTheFileAtTheEnd() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        var history = History(controlFile: path)
        let writer = try DiskWriter(EpochFile(controlFile: path)) { _ in }
        let thread = try writer.start()
        for number in 1...130 {
            history.add(HistoryTests.event("event \(number)"))
            writer.record(history)
        }
        writer.end()
        thread.join()
        #expect(History(controlFile: path).events == history.events)
    }

    /// A file whose opening waits, as one does on a disk that is busy.
    @Test func aDiskThatStandsStillKeepsNobodyWaiting() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        var history = History(controlFile: path)
        history.add(HistoryTests.event("event"))
        let new = "\(history.path).\(getpid()).new"
        try #require(mkfifo(new, 0o600) == 0)
        let writer = try DiskWriter(EpochFile(controlFile: path)) { _ in }
        let thread = try writer.start()
        writer.record(history)
        writer.record(5)
        let reader = open(new, O_RDONLY | O_NONBLOCK)
        try #require(reader >= 0)
        defer { close(reader) }
        writer.end()
        thread.join()
        #expect(EpochFile(controlFile: path).epoch == 5)
    }
}
