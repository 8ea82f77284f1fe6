// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Synchronization
import Testing

@testable import CTSync

@Suite struct ControlFileStressTests {
    /// What the daemon's thread and the test tell each other.
    private final class Shared: Sendable {
        let role = Atomic<UInt8>(255)
        let isOver = Flag()
        let failure = Mutex<String?>(nil)
    }

    /// A daemon that also changes its role by itself, as one that hears a newer master does.
    private static func follow(_ path: String, _ shared: Shared) throws {
        var file = try ControlFile(path: path)
        var role = file.leftover() ?? .slave
        var pending = true
        var turn = 0
        while true {
            let ending = shared.isOver.isSet
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
            shared.role.store(role.rawValue, ordering: .releasing)
            if ending && !pending && !ScratchDirectory.isReadable(file.raw, milliseconds: 20) {
                return
            }
        }
    }

    @Test(arguments: [false, true], [false, true])
    func noWriteIsLostWhileTheDaemonPublishes(moving: Bool, read: Bool) throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("state")
        let shared = Shared()
        do {
            let daemon = ThreadBox(
                try WorkerThread(named: "daemon") {
                    do {
                        try Self.follow(path, shared)
                    } catch {
                        shared.failure.withLock { $0 = "\(error)" }
                    }
                })
            let reader = Process()
            reader.executableURL = URL(fileURLWithPath: "/bin/sh")
            // It ends with this process, also if that crashes.
            reader.arguments = [
                "-c",
                "while [ -e /proc/\(getpid())/exe ]; do read -r x < \(path); done 2>/dev/null",
            ]
            if read { try reader.run() }
            defer {
                shared.isOver.set(true)
                daemon.join()
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
                while shared.role.load(ordering: .acquiring) != new.rawValue, Date() < deadline {
                    usleep(100)
                }
                try #require(
                    shared.role.load(ordering: .acquiring) == new.rawValue,
                    """
                    turn \(turn): \(new) lost; \(ScratchDirectory.read(path) ?? "no file"), \
                    \(shared.failure.withLock { $0 } ?? "no error")
                    """
                )
            }
        }
        #expect(shared.failure.withLock { $0 } == nil)
        #expect(ScratchDirectory.read(path) == "slave\n")
    }
}
