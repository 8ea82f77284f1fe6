// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The control file as the daemon's loop keeps it: what a manager writes is taken from it, the role is
/// written into it.
///
/// A file that cannot be read or written is told once and tried again (`ControlFileTrouble`).
/// Thread: control.
final class RoleFile {
    private var file: ControlFile
    private var trouble = ControlFileTrouble()
    private let log: Logger
    /// Whether the role is still to be written.
    private(set) var isStale = true

    /// How often a publication gives way to what was written meanwhile, before it waits.
    private static let publishLimit = 16

    /// Watches the file; it is left as it is.
    ///
    /// - Throws: `SystemError` if its directory cannot be made or watched.
    init(path: String, log: Logger) throws(SystemError) {
        file = try ControlFile(path: path)
        self.log = log
    }

    /// What to poll for POLLIN; then call `take`.
    var raw: CInt { file.raw }

    /// What is wrong with it; none while all is well.
    var troubles: [String] { trouble.sentences }

    /// The role that an earlier daemon or a manager has left in it.
    func leftover() -> Role? { file.leftover() }

    /// Has the role written again, whatever the file says.
    func setStale() { isStale = true }

    /// What was written to it; nothing if it cannot be read.
    func take() -> ControlFile.Request {
        do throws(SystemError) {
            return try file.take()
        } catch {
            trouble.tell(error, log, now: Clock.now())
            isStale = true
            return .none
        }
    }

    /// Writes the role; what a manager writes meanwhile is obeyed first. If the file cannot be written
    /// it stays stale, and the loop tries again.
    ///
    /// While a promotion waits, the manager's word stays: a daemon that is killed meanwhile obeys it
    /// when it starts again.
    func publish(_ node: Node, obey: (Role) -> Void) {
        guard !node.engine.isWaiting else { return }
        isStale = true
        guard trouble.isOver(now: Clock.now()) else { return }
        for _ in 0..<Self.publishLimit {
            switch tryToPublish(node.role) {
            case .published:
                isStale = false
                trouble.end(log)
                return
            case .busy:
                return
            case .changed:
                if case .role(let role) = take() { obey(role) }
                guard !node.engine.isWaiting else { return }
            }
        }
        trouble.wait(now: Clock.now())
    }

    private func tryToPublish(_ role: Role) -> ControlFile.Publication {
        do throws(SystemError) {
            return try file.publish(role)
        } catch {
            trouble.tell(error, log, now: Clock.now())
            return .busy
        }
    }

    /// Removes it, at an orderly stop.
    func remove() { file.remove() }
}
