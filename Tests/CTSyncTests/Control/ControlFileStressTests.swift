// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Synchronization
import Testing

@testable import CTSync

@Suite struct ControlFileStressTests {
    /// A daemon that also changes its role by itself, as one that hears a newer master does.
    private static func follow(
        _ path: String, role atomic: borrowing Atomic<UInt8>, stop: borrowing Atomic<Bool>
    ) throws {
        var file = try ControlFile(path: path)
        var role = file.leftover() ?? .slave
        var pending = true
        var turn = 0
        while true {
            let ending = stop.load(ordering: .acquiring)
            if ScratchDirectory.isReadable(file.raw, milliseconds: pending ? 1 : 0) || pending {
                switch try file.take() {
                case .none: break
                case .role(let new):
                    role = new
                    pending = true
                case .refused, .deleted: pending = true
                }
            }
            if pending { pending = try file.publish(role) != .published }
            turn += 1
            if turn % 7 == 0, !pending, !ending {
                // Of its own accord, and back again: it must not undo a word it has not read.
                let other: Role = role == .master ? .slave : .master
                if try file.publish(other) == .published {
                    while try file.publish(role) == .busy {}
                } else {
                    pending = true
                }
            }
            atomic.store(role.rawValue, ordering: .releasing)
            if ending && !pending && !ScratchDirectory.isReadable(file.raw, milliseconds: 20) {
                return
            }
        }
    }

    @Test(arguments: [false, true], [false, true])
    func noWriteIsLostWhileTheDaemonPublishes(moving: Bool, read: Bool) throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        let role = Atomic<UInt8>(255)
        let stop = Atomic(false)
        let ended = Atomic(0)
        let failure = Mutex<String?>(nil)
        try withoutActuallyEscaping({ () -> Void in
            do {
                try Self.follow(path, role: role, stop: stop)
            } catch {
                failure.withLock { $0 = "\(error)" }
            }
            ended.add(1, ordering: .releasing)
        }) { body in
            nonisolated(unsafe) let body = body
            let daemon = Thread { body() }
            daemon.start()
            let reader = Process()
            reader.executableURL = URL(fileURLWithPath: "/bin/sh")
            // It ends with this process, also if that crashes.
            reader.arguments = [
                "-c", "while kill -0 \(getpid()); do read -r x < \(path); done 2>/dev/null",
            ]
            if read { try reader.run() }
            defer {
                stop.store(true, ordering: .releasing)
                while ended.load(ordering: .acquiring) == 0 { usleep(1_000) }
                if read {
                    kill(reader.processIdentifier, SIGKILL)
                    reader.waitUntilExit()
                }
            }
            var generator = SystemRandomNumberGenerator()
            for turn in 0..<2_000 {
                let new: Role = turn % 2 == 0 ? .master : .slave
                let text = Bool.random(using: &generator) ? "\(new)\n" : "\(new.rawValue)"
                if moving && turn % 3 == 0 {
                    ScratchDirectory.write(text, to: path + ".tmp")
                    #expect(rename(path + ".tmp", path) == 0)
                } else {
                    ScratchDirectory.write(text, to: path)
                }
                // A quiet point now and then: the last word must have won.
                guard turn % 10 == 9 || turn % 10 == 4 else { continue }
                let deadline = Date(timeIntervalSinceNow: 20)
                while role.load(ordering: .acquiring) != new.rawValue, Date() < deadline {
                    usleep(100)
                }
                try #require(
                    role.load(ordering: .acquiring) == new.rawValue,
                    """
                    turn \(turn): \(new) lost; \(ScratchDirectory.read(path) ?? "no file"), \
                    \(failure.withLock { $0 } ?? "no error")
                    """
                )
            }
        }
        #expect(failure.withLock { $0 } == nil)
        #expect(ScratchDirectory.read(path) == "slave\n")
    }
}
