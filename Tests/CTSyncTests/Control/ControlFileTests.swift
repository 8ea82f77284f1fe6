// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct ControlFileTests {
    let scratch = ScratchDirectory()
    var path: String { scratch.file("run/ct_sync/state") }

    @Test func itsDirectoryIsMadeAndItTellsThePublishedRole() throws {
        var file = try ControlFile(path: path)
        #expect(file.leftover() == nil)
        #expect(try file.publish(.slave) == .published)
        #expect(ScratchDirectory.read(path) == "slave\n")
        #expect(try file.publish(.master) == .published)
        #expect(ScratchDirectory.read(path) == "master\n")
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o7777 == 0o644)
        #expect(try file.take() == .none)
        file.remove()
        #expect(ScratchDirectory.read(path) == nil)
    }

    @Test func whatAKilledDaemonLeftIsRead() throws {
        var first = try ControlFile(path: path)
        #expect(try first.publish(.master) == .published)
        var second = try ControlFile(path: path)
        #expect(second.leftover() == .master)
        // A word that comes after the look at what was left is not overwritten.
        ScratchDirectory.write("slave\n", to: path)
        #expect(try second.publish(.master) == .changed)
        #expect(try second.take() == .role(.slave))
        #expect(try second.publish(.slave) == .published)
    }

    @Test(
        arguments: [
            ("master\n", Role.master), ("master", .master), ("1\n", .master), ("1", .master),
            (" 1 \r\n", .master), ("master\nslave\n", .master), ("0\n", .slave), ("0", .slave),
            ("slave", .slave), ("\tslave \n", .slave),
        ]) func aRoleWrittenInPlaceIsTaken(_ text: String, _ role: Role) throws
    {
        var file = try ControlFile(path: path)
        let other: Role = role == .master ? .slave : .master
        #expect(try file.publish(other) == .published)
        #expect(try file.take() == .none)
        ScratchDirectory.write(text, to: path)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .role(role))
        #expect(try file.take() == .none)
        #expect(try file.publish(role) == .published)
        #expect(ScratchDirectory.read(path) == "\(role)\n")
        #expect(try file.take() == .none)
    }

    @Test func theSameRoleInAnotherFormIsWrittenCanonically() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.master) == .published)
        ScratchDirectory.write("1", to: path)
        #expect(try file.take() == .role(.master))
        #expect(try file.publish(.master) == .published)
        #expect(ScratchDirectory.read(path) == "master\n")
        ScratchDirectory.write("master\n", to: path)
        #expect(try file.take() == .none)
    }

    @Test(
        arguments: [
            ("backup\n", "backup"), ("", ""), ("\nmaster\n", ""), ("MASTER", "MASTER"),
            ("masters", "masters"), ("a\u{1B}[31m\u{7}", "a?[31m?"),
            (String(repeating: "x", count: 70_000), String(repeating: "x", count: 64)),
        ]) func anythingElseIsRefusedAndPutRight(_ text: String, _ shown: String) throws
    {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.slave) == .published)
        ScratchDirectory.write(text, to: path)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .refused(shown))
        #expect(try file.publish(.slave) == .published)
        #expect(ScratchDirectory.read(path) == "slave\n")
    }

    @Test func aFileMovedOverItIsTaken() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.slave) == .published)
        #expect(try file.take() == .none)
        let other = scratch.file("other")
        for role in [Role.master, .slave, .master] {
            ScratchDirectory.write("\(role.rawValue)\n", to: other)
            #expect(rename(other, path) == 0)
            #expect(ScratchDirectory.isReadable(file.raw))
            #expect(try file.take() == .role(role))
            #expect(try file.publish(role) == .published)
            #expect(ScratchDirectory.read(path) == "\(role)\n")
        }
    }

    @Test func aDeletedFileAndADeletedDirectoryComeBack() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.slave) == .published)
        unlink(path)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .deleted)
        #expect(try file.publish(.slave) == .published)
        try FileManager.default.removeItem(atPath: scratch.file("run"))
        #expect(try file.take() == .deleted)
        #expect(try file.publish(.slave) == .published)
        #expect(try file.take() == .none)
        // The directory is another one now, and watched all the same.
        ScratchDirectory.write("1\n", to: path)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .role(.master))
    }

    @Test func theSameWordWrittenAgainIsSeenBeforeItIsOverwritten() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.master) == .published)
        #expect(try file.take() == .none)
        ScratchDirectory.write("master\n", to: path)
        // The node has meanwhile become a slave by itself; the manager's word is newer.
        #expect(try file.publish(.slave) == .changed)
        #expect(try file.take() == .role(.master))
        // Its own publications are never taken for somebody's word.
        #expect(try file.publish(.master) == .published)
        #expect(try file.publish(.slave) == .published)
        #expect(try file.publish(.master) == .published)
        #expect(try file.take() == .none)
    }

    @Test func aWriterAtWorkIsWaitedForWithoutWakingOurselves() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.slave) == .published)
        #expect(try file.take() == .none)
        let writer = open(path, O_WRONLY | O_TRUNC)
        #expect(try file.take() == .none)
        #expect(try file.publish(.slave) == .changed)
        #expect(try file.take() == .none)
        #expect(!ScratchDirectory.isReadable(file.raw, milliseconds: 20))
        #expect(write(writer, "1\n", 2) == 2)
        close(writer)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .role(.master))
        let late = open(path, O_WRONLY)
        #expect(try file.publish(.master) == .busy)
        #expect(!ScratchDirectory.isReadable(file.raw, milliseconds: 20))
        close(late)
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .none)
        #expect(try file.publish(.master) == .published)
        #expect(ScratchDirectory.read(path) == "master\n")
    }

    @Test func aReaderDoesNotHoldUpTheRoleNorLoseALateWriter() throws {
        var file = try ControlFile(path: path)
        #expect(try file.publish(.slave) == .published)
        chmod(path, 0o664)
        #expect(try file.take() == .none)
        let reader = open(path, O_RDONLY)
        defer { close(reader) }
        #expect(try file.publish(.master) == .published)
        #expect(ScratchDirectory.read(path) == "master\n")
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o7777 == 0o664)
        #expect(ScratchDirectory.read(path + ".new") == nil)
        #expect(try file.take() == .none)
        // One that had found the old file by its name, but not yet opened it.
        ScratchDirectory.write("0\n", to: "/proc/self/fd/\(reader)")
        #expect(ScratchDirectory.isReadable(file.raw))
        #expect(try file.take() == .role(.slave))
        #expect(try file.publish(.slave) == .published)
        #expect(try file.take() == .none)
        #expect(ScratchDirectory.read(path) == "slave\n")
    }
}
