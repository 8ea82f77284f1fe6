// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync
@testable import CTSyncTests

/// A slave's engine over the kernel's table of the calling thread's namespace, stepped by hand with a hand
/// clock, and the words of its master.
final class KernelSlave {
    let engine: SlaveEngine
    private(set) var now = 10 * Duration.second
    private var last: UInt64 = 0
    private var walks: UInt32 = 0

    /// A slave in sync with a master that has these.
    init(_ kernel: any KernelTable = Kernel(), entries: [Entry]) throws {
        let slave = try SlaveProtocol.sample(capacity: 4_096, ringSlots: 64)
        engine = try SlaveEngine(slave, kernel)
        engine.begin(after: .none, holding: Holding(), now: now)
        receive(PacketBytes.announcement(0))
        tell(entries)
        pass(2 * Duration.second)
    }

    /// Hears an initsync of a master that has these.
    func tell(_ entries: [Entry], _ expectations: [Expected] = []) {
        walks += 1
        say(PacketBytes.bracket(.UPDATE, walks))
        for entry in entries { say(PacketBytes.update(entry, bits: MessageKind.new)) }
        for expectation in expectations { say(PacketBytes.update(expectation)) }
        say(PacketBytes.bracket(.DELETE, walks))
    }

    /// Why it is not in sync; nil if it is.
    var reason: SlaveProtocol.OutOfSync? { engine.slave.outOfSync(now: now) }

    /// Hears a message of the master, and works.
    func say(_ message: [UInt8]) {
        hear(message)
        engine.work(now: now)
    }

    /// Hears the last message once more, as it is in truth.
    func sayLast(_ message: [UInt8]) {
        receive(PacketBytes.sync(last, [message]))
    }

    /// Hears a message of the master; what follows from it is still to be done.
    func hear(_ message: [UInt8]) {
        last += 1
        take(PacketBytes.sync(last, [message]))
    }

    /// Lets time pass, with the master's announcements.
    func pass(_ time: UInt64, until isDone: () -> Bool = { false }) {
        let end = now + time
        while now < end, !isDone() {
            now += 5 * Duration.millisecond
            receive(PacketBytes.announcement(last))
        }
    }

    private func receive(_ packet: [UInt8]) {
        take(packet)
        engine.work(now: now)
    }

    private func take(_ packet: [UInt8]) {
        _ = engine.receive(packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
    }
}
