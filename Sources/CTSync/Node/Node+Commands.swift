// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Logging

/// What an operator asks for by hand: `dump`, `flush`, `resync`, `initsync-rate`.
extension Node {
    /// Answers a request of the control socket.
    func answer(_ request: ControlRequest) -> ControlReply {
        switch (request.verb, request.subject) {
        case (.get, "status"): ControlReply(report())
        case (.get, "dump"): dump(request)
        case (.set, "verify"): startVerification()
        case (.get, "verify"): verification()
        case (.set, "flush"): flush(isConfirmed: request["yes"] == "1")
        case (.set, "resync"): resync()
        case (.get, "initsync-rate"):
            ControlReply(done: "\(master.initsync.packetsPerSecond) packets per second")
        case (.set, "initsync-rate"): setInitsyncRate(request["value"] ?? "")
        default: .notUnderstood
        }
    }

    /// The expectations of this node's kernel: on a slave the replicas, on a master those it sends.
    /// There are at most nf_conntrack_expect_max, a few thousand.
    private func dumpExpectations(_ request: ControlRequest) -> ControlReply {
        guard request["match"] == nil else {
            return ControlReply(
                refused: "criteria are for connections, not for expectations", errno: EINVAL)
        }
        let filter = filter.current
        var lines: [ControlLine] = []
        do throws(SystemError) {
            let dump = try TableDump()
            let expected = ExpectationSieve(try EntryQuery())
            try dump.startExpectations()
            var isMore = true
            while isMore {
                isMore = try dump.step { _ in
                } expectation: { expectation in
                    guard expected.admits(expectation, filter) else { return }
                    lines.append(ControlLine(EntryLine.key, EntryLine.text(expectation)))
                }
            }
        } catch {
            return ControlReply(refused: "the table cannot be read: \(error)", errno: EIO)
        }
        return ControlReply(lines)
    }

    private func dump(_ request: ControlRequest) -> ControlReply {
        if request["resource"] == "expect" { return dumpExpectations(request) }
        let words = (request["match"] ?? "").split(separator: " ").map { String($0) }
        let criteria: ReplicationRule
        do throws(RuleMistake) {
            criteria = try ReplicationRule(criteria: words)
        } catch {
            return ControlReply(refused: error.sentence, errno: EINVAL)
        }
        if role == .slave { return ControlReply(ReplicaDump(self, criteria)) }
        do throws(SystemError) {
            return ControlReply(try KernelDump(self, criteria))
        } catch {
            return ControlReply(refused: "the table cannot be read: \(error)", errno: EIO)
        }
    }

    /// Slave: forgets its replicas, deletes them from the kernel and asks for an initsync. Master:
    /// deletes every connection that it replicates, and with them goes the traffic.
    private func flush(isConfirmed: Bool) -> ControlReply {
        guard role == .slave else {
            guard isConfirmed else {
                return ControlReply(
                    refused: "this node is master: flush would cut off the connections it "
                        + "replicates; --yes does it", errno: EPERM)
            }
            log.warning("flush by hand: the replicated connections of this master are deleted")
            do throws(SystemError) {
                return ControlReply(try KernelFlush(self))
            } catch {
                return ControlReply(refused: "the table cannot be read: \(error)", errno: EIO)
            }
        }
        guard isConfirmed || isMasterHeard else {
            return ControlReply(
                refused: "no master is heard: after flush nobody would have the connections; "
                    + "--yes does it", errno: ENOTCONN)
        }
        let (count, isAllRead) = link.visit {
            ($0.slave.flush(now: Clock.now()), $0.slave.hasAdopted)
        }
        let rest = isAllRead ? "" : ", and those that are not read yet"
        let deleted = Words.count(count, "replica", "replicas") + " deleted" + rest
        let asked = isMasterHeard ? "initsync asked for" : "no master is heard to ask"
        log.notice("flush by hand: \(deleted), \(asked)")
        return ControlReply(done: "\(deleted), \(asked)")
    }

    /// Slave: asks for an initsync now. Master: walks its table for all slaves.
    private func resync() -> ControlReply {
        guard role == .slave else {
            master.exchange.requireInitsync()
            steps.threads.walkWake.signal()
            log.info("resync by hand: the table is walked for all slaves")
            return ControlReply(done: "the table is walked for all slaves")
        }
        guard isMasterHeard else {
            return ControlReply(refused: "no master is heard to ask", errno: ENOTCONN)
        }
        link.visit { $0.slave.requireInitsync(now: Clock.now()) }
        log.info("resync by hand: initsync asked for")
        return ControlReply(done: "initsync asked for")
    }

    private func setInitsyncRate(_ text: String) -> ControlReply {
        do throws(ConfigurationError) {
            let setting = Setting("initsync-rate", text, .parameter)
            let rate = try SettingKind.packetsPerSecond.read(setting)
            master.initsync.packetsPerSecond = rate
            steps.threads.walkWake.signal()
            log.notice("initsync-rate set to \(rate) packets per second by hand")
            return ControlReply(done: "\(rate) packets per second until the daemon's restart")
        } catch {
            return ControlReply(refused: error.sentence, errno: EINVAL)
        }
    }

    private var isMasterHeard: Bool {
        let slave = link.status
        return slave.masterAddress != nil
            && Clock.now() <= slave.lastHeard + SlaveProtocol.silence
    }
}

extension ControlRequest {
    /// The value of the first line of this key after the first line.
    subscript(key: String) -> String? {
        arguments.first { $0.key == key }?.value
    }
}
