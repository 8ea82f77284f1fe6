// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct InstanceLockTests {
    @Test func aSecondHolderIsRefusedByNameUntilTheFirstLetsGo() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("run/state")
        do {
            let first = try InstanceLock(controlFile: path)
            #expect(ScratchDirectory.read(path + ".lock") == "\(getpid())\n0\n")
            let error = #expect(throws: ConfigurationError.self) {
                _ = try InstanceLock(controlFile: path)
            }
            #expect(
                error?.sentence
                    == "another ct_sync (process \(getpid())) has the control file \(path); stop "
                    + "it first, or give this one another with --control-file")
            #expect(error?.exitStatus == 75)
            _ = consume first
        }
        _ = try InstanceLock(controlFile: path)
    }

    @Test func theHighestEpochIsFoundByTheNextHolder() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        do {
            var first = try InstanceLock(controlFile: path)
            #expect(first.epoch == 0)
            first.record(1_000_000_000_000_000)
            first.record(7)
        }
        #expect(ScratchDirectory.read(path + ".lock") == "\(getpid())\n1000000000000000\n")
        #expect(try InstanceLock(controlFile: path).epoch == 1_000_000_000_000_000)
        // What is no number is none.
        try "x\ny\n".write(toFile: path + ".lock", atomically: false, encoding: .utf8)
        #expect(try InstanceLock(controlFile: path).epoch == 0)
    }

    @Test func theLastTermIsFoundByTheNextHolder() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        do {
            var first = try InstanceLock(controlFile: path)
            #expect(first.last == .none)
            first.record(9_000)
            first.record(last: Basis(epoch: 9_000, sequence: .max), hasMore: true)
        }
        #expect(
            ScratchDirectory.read(path + ".lock") == "\(getpid())\n9000\n9000\n1\n\(UInt64.max)\n")
        var next = try InstanceLock(controlFile: path)
        #expect(next.last == Basis(epoch: 9_000, sequence: .max) && next.hasMore)
        next.record(9_001)
        #expect(next.last.epoch == 9_000 && next.epoch == 9_001)
        next.record(last: Basis(epoch: 9_001, sequence: 7), hasMore: false)
        #expect(ScratchDirectory.read(path + ".lock") == "\(getpid())\n9001\n9001\n0\n7\n")
    }

    @Test func theLastTermOfAnEarlierVersionIsFound() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        try "1\n9000\n8000\n".write(toFile: path + ".lock", atomically: false, encoding: .utf8)
        let lock = try InstanceLock(controlFile: path)
        #expect(lock.last == Basis(epoch: 8_000, sequence: .max) && !lock.hasMore)
    }

    /// Nobody else can take the lock: not by opening the file, not by making one first.
    @Test func nobodyElseCanTakeIt() throws {
        let scratch = ScratchDirectory()
        func mode(_ path: String) -> mode_t {
            var status = stat()
            return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        func refusal(_ path: String) -> String? {
            #expect(throws: ConfigurationError.self) {
                _ = try InstanceLock(controlFile: path)
            }?.sentence
        }
        let path = scratch.file("state")
        do { _ = try InstanceLock(controlFile: path) }
        #expect(mode(path + ".lock") == 0o600)
        // An earlier version let everybody read it.
        chmod(path + ".lock", 0o644)
        do { _ = try InstanceLock(controlFile: path) }
        #expect(mode(path + ".lock") == 0o600)

        let target = scratch.file("target")
        ScratchDirectory.write("4711\n9\n", to: target)
        symlink(target, scratch.file("linked.lock"))
        #expect(refusal(scratch.file("linked"))?.contains("is a symbolic link") == true)
        link(target, scratch.file("second.lock"))
        #expect(refusal(scratch.file("second"))?.contains("not a file of the daemon's") == true)
        #expect(ScratchDirectory.read(target) == "4711\n9\n")
        mkfifo(scratch.file("pipe.lock"), 0o600)
        #expect(refusal(scratch.file("pipe"))?.contains("not a file of the daemon's") == true)

        let open = scratch.file("open")
        mkdir(open, 0o755)
        chmod(open, 0o1777)
        #expect(refusal(open + "/state")?.contains("others can write to \(open)") == true)
        #expect(ScratchDirectory.read(open + "/state.lock") == nil)
    }

    @Test func theKernelTakesItBackWhenTheHolderIsKilled() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        holder.arguments = ["--no-fork", path + ".lock", "sleep", "60"]
        try holder.run()
        var refused = false
        for _ in 0..<200 where !refused {
            usleep(10_000)
            do throws(ConfigurationError) {
                _ = try InstanceLock(controlFile: path)
            } catch {
                refused = true
            }
        }
        #expect(refused)
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
        _ = try InstanceLock(controlFile: path)
    }

    /// A lock whose file names a process that is gone, and that another one still holds for a while:
    /// what a daemon looks like that was killed and is not quite dead.
    private func leaveLock(_ path: String, seconds: String) throws {
        let words = [
            "/bin/sh", "-c",
            "exec 9<>\"$0\"; flock 9; echo $$ >&9; sleep \"$1\" </dev/null >/dev/null 2>&1 &",
            path + ".lock", seconds,
        ]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        // Not by Process, which waits for the descendants too.
        var shell: pid_t = 0
        try #require(posix_spawn(&shell, "/bin/sh", nil, nil, &arguments, environ) == 0)
        var status: CInt = 0
        #expect(waitpid(shell, &status, 0) == shell && status == 0)
    }

    @Test func aDyingHolderIsWaitedFor() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        ScratchDirectory.write("", to: path + ".lock")
        try leaveLock(path, seconds: "0.4")
        _ = try InstanceLock(controlFile: path)
    }

    @Test func itIsNotWaitedForLongNorALivingOneAtAll() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        ScratchDirectory.write("", to: path + ".lock")
        try leaveLock(path, seconds: "4")
        let start = Clock.now()
        #expect(throws: ConfigurationError.self) { _ = try InstanceLock(controlFile: path) }
        #expect(Clock.now() - start > 1_900 * Duration.millisecond)
        #expect(Clock.now() - start < 3_000 * Duration.millisecond)
        // This process lives.
        ScratchDirectory.write("\(getpid())\n0\n", to: path + ".lock")
        let second = Clock.now()
        #expect(throws: ConfigurationError.self) { _ = try InstanceLock(controlFile: path) }
        #expect(Clock.now() - second < 500 * Duration.millisecond)
    }
}
