// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// `ct_sync rehearse`: a promotion without its claim and without its opening.
///
/// What had arrived is applied, the epoch's file is written with the epoch that it has, the sockets and
/// threads of a master are had and given back, the frames for the neighbours are made. Then the kernel's
/// table is walked, as for the timers. No packet is sent and none let through, no entry is changed; an
/// order that comes meanwhile is obeyed at once.
extension Node {
    /// Begins one.
    ///
    /// - Parameter keepEpoch: writes the epoch's file as it is.
    func rehearse(keepEpoch: () throws(SystemError) -> String) -> ControlReply {
        guard role == .slave else { return refusal(onMaster: "a slave rehearses") }
        guard !engine.isWaiting else {
            return ControlReply(refused: "a promotion waits: this is none", errno: EBUSY)
        }
        var rehearsal = Rehearsal(nodeID: configuration.nodeID)
        rehearsal.take("receive") {
            let before = link.status.counters.packets
            link.catchUp()
            let count = link.status.counters.packets - before
            return .done("\(Words.count(count, "packet", "packets")) had arrived: applied")
        }
        rehearsal.take("epoch") { Self.outcome(keepEpoch) }
        rehearsal.take("term") {
            Self.outcome { () throws(SystemError) in
                try steps.threads.rehearse()
                return "the sockets and threads of a master were made and given back"
            }
        }
        darkness?.rehearse(&rehearsal)
        rehearsal.missing = Rehearsal.missing(nodeReport())
        do throws(SystemError) {
            return ControlReply(try RehearsedWalk(self, rehearsal))
        } catch {
            return ControlReply(refused: "the table cannot be read: \(error)", errno: EIO)
        }
    }

    private static func outcome(
        _ body: () throws(SystemError) -> String
    ) -> Rehearsal.Outcome {
        do throws(SystemError) {
            return .done(try body())
        } catch {
            return .failed("\(error)")
        }
    }
}

/// The last step of a rehearsal, a piece at a time: the walk that would start the replicas' timers.
final class RehearsedWalk: ControlStream {
    private let node: Node
    private let began: Instant
    private let dump: TableDump
    private var rehearsal: Rehearsal
    private var nanoseconds: UInt64 = 0
    private var seen = 0
    private var held = 0

    /// How long a piece takes, before others get their turn.
    private static let piece = 1 * Duration.millisecond

    init(_ node: Node, _ rehearsal: Rehearsal) throws(SystemError) {
        self.node = node
        self.rehearsal = rehearsal
        began = node.engine.roleSince
        dump = try TableDump()
        try dump.start()
    }

    func next(_ reply: inout TextBuffer) -> CInt? {
        guard node.role == .slave, node.engine.roleSince == began else {
            reply.append(ControlLine("error", "the role changed during the rehearsal"))
            return ECANCELED
        }
        let start = Clock.now()
        defer { nanoseconds += Clock.now() - start }
        do throws(SystemError) {
            while Clock.now() < start + Self.piece {
                let isMore = try dump.step { entry in
                    seen += 1
                    if ReplicaTable.mayBeHeld(entry) { held += 1 }
                }
                guard isMore else {
                    end(&reply, Clock.now() - start)
                    return 0
                }
            }
            // A client waits for some seconds only.
            reply.append(ControlLine("walked", String(seen)))
            return nil
        } catch {
            reply.append(ControlLine("error", "the table cannot be read: \(error)"))
            return error.errno
        }
    }

    private func end(_ reply: inout TextBuffer, _ last: UInt64) {
        rehearsal.add(
            "timers", nanoseconds + last,
            .done(
                "\(Words.count(seen, "entry", "entries")) walked: "
                    + "the timers of \(Words.number(held)) would start"), isWaitedFor: false)
        node.rehearsed(rehearsal)
        for line in rehearsal.status.lines { reply.append(line) }
    }
}
