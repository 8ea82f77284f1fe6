// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// `ct_sync verify`: a comparison now of this kernel with what the master has said, and an initsync
/// beside it, which compares that with the master's kernel.
extension Node {
    /// Begins one; answers with the counts that its end will raise.
    func startVerification() -> ControlReply {
        guard role == .slave else { return refusal(onMaster: "a slave is verified") }
        let isHeard = nodeReport().isMasterHeard
        guard isHeard else {
            return ControlReply(
                refused: "no master is heard: there is nothing to compare with", errno: ENOTCONN)
        }
        let (checks, initsyncs, purged) = link.visit { engine in
            engine.slave.requireInitsync(now: Clock.now())
            let counters = engine.slave.counters
            return (engine.check.checkCount, counters.initsyncs, counters.purged)
        }
        log.info("verification by hand")
        return ControlReply(Self.lines(checks, initsyncs, purged))
    }

    /// The answer of a master to what is for slaves.
    func refusal(onMaster what: String) -> ControlReply {
        let ids = master.exchange.peers.map { "\($0.nodeID)" }.joined(separator: ", ")
        let nodes = ids.isEmpty ? "a slave" : "node \(ids)"
        return ControlReply(
            refused: "this node is master; \(what): type it on \(nodes)", errno: EPERM)
    }

    /// What the last one came to.
    func verification() -> ControlReply {
        guard role == .slave else { return ControlReply(refused: "it is master now", errno: EPERM) }
        let (checks, counters, proof) = link.visit { engine in
            (engine.check.checkCount, engine.slave.counters, engine.check.proof)
        }
        var lines = Self.lines(checks, counters.initsyncs, counters.purged)
        lines.append(ControlLine("entries", String(proof.entries)))
        lines.append(ControlLine("differed", String(proof.differed)))
        lines.append(ControlLine("added", String(proof.added)))
        for difference in proof.differences {
            let here = difference.here.map { EntryLine.text($0) } ?? ""
            let said = difference.said.map { EntryLine.text($0) } ?? ""
            lines.append(ControlLine("here", here))
            lines.append(ControlLine("said", said))
        }
        return ControlReply(lines)
    }

    private static func lines(
        _ checks: UInt64, _ initsyncs: UInt64, _ purged: UInt64
    ) -> [ControlLine] {
        [
            ControlLine("checks", String(checks)), ControlLine("initsyncs", String(initsyncs)),
            ControlLine("purged", String(purged)),
        ]
    }
}
