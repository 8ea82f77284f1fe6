// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct ServiceNotifyTests {
    @Test func tellsWhatTheManagerWantsToHear() throws {
        let scratch = ScratchDirectory()
        let manager = try NotifySocket(scratch.file("notify"))
        var notify = ServiceNotify(environment: ["NOTIFY_SOCKET": manager.name].lookup)
        let isHeard = notify.isHeard
        #expect(isHeard)
        #expect(notify.watchdogInterval == nil)
        notify.ready()
        #expect(manager.next() == "READY=1")
        notify.show("slave, in sync")
        #expect(manager.next() == "STATUS=slave, in sync")
        notify.show("slave, in sync")
        notify.alive(now: 1 * Duration.second)
        notify.show("two\nREADY=1")
        #expect(manager.next() == "STATUS=two READY=1")
        notify.stopping()
        #expect(manager.next() == "STOPPING=1")
        #expect(manager.next() == nil)
    }

    @Test func findsAnAbstractSocket() throws {
        let manager = try NotifySocket("@ct_sync-test-\(UUID().uuidString)")
        let notify = ServiceNotify(environment: ["NOTIFY_SOCKET": manager.name].lookup)
        notify.ready()
        #expect(manager.next() == "READY=1")
    }

    @Test func tellsTheWatchdogAtHalfItsTime() throws {
        let scratch = ScratchDirectory()
        let manager = try NotifySocket(scratch.file("notify"))
        var notify = ServiceNotify(
            environment: [
                "NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "10000000",
                "WATCHDOG_PID": "\(getpid())",
            ].lookup)
        #expect(notify.watchdogInterval == 5 * Duration.second)
        let start = 100 * Duration.second
        notify.alive(now: start)
        #expect(manager.next() == "WATCHDOG=1")
        notify.alive(now: start + 4_999 * Duration.millisecond)
        #expect(manager.next() == nil)
        notify.alive(now: start + 5 * Duration.second)
        #expect(manager.next() == "WATCHDOG=1")
    }

    @Test(arguments: [
        ["WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"], ["WATCHDOG_USEC": "0"],
        ["WATCHDOG_USEC": "soon"], ["WATCHDOG_USEC": "-1"],
        ["WATCHDOG_USEC": "18446744073709551615"], [:],
    ])
    func aWatchdogOfAnotherProcessOrOfNoTimeIsNone(_ environment: [String: String]) {
        let notify = ServiceNotify(environment: environment.lookup)
        #expect(notify.watchdogInterval == nil)
    }

    @Test(arguments: [
        "", "@", "/", "relative/path", "vsock:2:1", "/" + String(repeating: "x", count: 107),
        "@" + String(repeating: "x", count: 108),
    ])
    func aNameThatIsNoSocketIsNotHeard(_ name: String) {
        var notify = ServiceNotify(environment: ["NOTIFY_SOCKET": name].lookup)
        let isHeard = notify.isHeard
        #expect(!isHeard)
        notify.ready()
        notify.show("nobody there")
    }

    @Test func aManagerThatIsGoneHoldsNothingUp() {
        let scratch = ScratchDirectory()
        var notify = ServiceNotify(environment: ["NOTIFY_SOCKET": scratch.file("gone")].lookup)
        for number in 0..<10_000 { notify.show("\(number)") }
        notify.stopping()
    }
}

extension [String: String] {
    fileprivate var lookup: (String) -> String? { { self[$0] } }
}

/// The service manager's end.
private final class NotifySocket {
    let name: String
    private let raw: CInt

    init(_ name: String) throws {
        self.name = name
        raw = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if name.hasPrefix("@") { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(raw, $0, length) }
        }
        try #require(raw >= 0 && result == 0, "bind \(name): errno \(errno)")
    }

    deinit { close(raw) }

    /// The next message; nil where none has come.
    func next() -> String? {
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = recv(raw, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}
