// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What the control socket asks of the daemon; most of it is the node's to answer.
extension Daemon {
    /// Answers a request of the control socket.
    func answer(_ request: ControlRequest) -> ControlReply {
        switch (request.verb, request.subject) {
        case (.set, "role"):
            return answerRole(request)
        case (.set, "rekey"):
            return answerRekey()
        case (.get, "check"):
            let troubles = [disk.trouble.map { "the epoch is not kept: \($0)" }]
            let facts = node.facts(fileTroubles: troubles.compactMap { $0 } + roleFile.troubles)
            return ControlReply(NodeCheck(node.nodeReport(), facts).lines)
        case (.set, "rehearse"):
            return node.rehearse { () throws(SystemError) in
                try disk.rehearse()
                return "\(disk.epochPath) written, as it was"
            }
        case (.get, "history"):
            // So that it has all that the status said before.
            observer.look(node, &service, isAsked: true)
            return observer.answer(request)
        default:
            return node.answer(request)
        }
    }

    private func answerRekey() -> ControlReply {
        do throws(ConfigurationError) {
            return ControlReply(done: try node.rekey())
        } catch {
            return ControlReply(refused: error.sentence, errno: EINVAL)
        }
    }

    private func answerRole(_ request: ControlRequest) -> ControlReply {
        guard let line = request.arguments.first(where: { $0.key == "role" }),
            let role = Role(text: line.value)
        else { return .notUnderstood }
        do throws(SystemError) {
            _ = try node.order(role)
            publish()
            let report = node.darknessReport()
            return ControlReply(
                [ControlLine("role", node.role.description)] + report.lines)
        } catch {
            refused(error)
            return ControlReply(errno: error.errno)
        }
    }
}
