// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The daemon's role in the control file: what a manager writes is read, and what the role is written,
/// again and again where the file cannot be used.
///
/// Thread: control.
struct PublishedRole: ~Copyable {
    /// How often a publication gives way to what was written meanwhile, before it waits.
    private static let limit = 16

    /// Whether the file is yet to be written.
    private(set) var isDue = true
    private var file: ControlFile
    private var trouble = ControlFileTrouble()
    private let log: Logger

    /// Opens the file.
    ///
    /// - Throws: `SystemError` if its directory cannot be watched.
    init(_ path: String, log: Logger) throws(SystemError) {
        self.log = log
        file = try ControlFile(path: path)
    }

    /// Readable if the file has changed.
    var raw: CInt { file.raw }

    /// What keeps the file from being used.
    var troubles: [String] { trouble.sentences }

    /// The role that an earlier process left in it.
    func leftover() -> Role? { file.leftover() }

    /// Removes it.
    func remove() { file.remove() }

    /// What was written to it; nothing if it cannot be read.
    mutating func take() -> ControlFile.Request {
        do throws(SystemError) {
            return try file.take()
        } catch {
            trouble.tell(error, log, now: Clock.now())
            isDue = true
            return .none
        }
    }

    /// Writes the role; what a manager writes meanwhile is obeyed first. If the file cannot be written,
    /// it stays due.
    ///
    /// - Parameters:
    ///   - role: the daemon's at this moment.
    ///   - obey: obeys a manager; false if nothing is to be published then.
    mutating func publish(
        _ role: () -> Role, obey: (Role) throws(SystemError) -> Bool
    ) throws(SystemError) {
        isDue = true
        guard trouble.isOver(now: Clock.now()) else { return }
        for _ in 0..<Self.limit {
            switch tryToPublish(role()) {
            case .published:
                isDue = false
                trouble.end(log)
                return
            case .busy:
                return
            case .changed:
                if case .role(let role) = take(), try !obey(role) { return }
            }
        }
        trouble.wait(now: Clock.now())
    }

    private mutating func tryToPublish(_ role: Role) -> ControlFile.Publication {
        do throws(SystemError) {
            return try file.publish(role)
        } catch {
            trouble.tell(error, log, now: Clock.now())
            return .busy
        }
    }
}
