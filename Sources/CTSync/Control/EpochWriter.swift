// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// Writes epochs into an `EpochFile` on a thread of its own: a disk that is busy would keep a promotion
/// waiting, for milliseconds as a rule.
///
/// What a power cut catches before it is written the clock has to do for, and the others' answers. A daemon
/// that is killed finds its epoch in the lock file.
final class EpochWriter: Sendable {
    private struct State {
        var wanted: UInt64
        var isEnding = false
        var trouble: SystemError?
    }

    /// Where it is written.
    let path: String
    private let file: Mutex<EpochFile>
    private let state: Mutex<State>
    private let wake: WakeUp
    /// Is told of trouble once, until a write succeeds.
    private let tell: @Sendable (SystemError) -> Void

    /// One that has written what the file has.
    ///
    /// - Throws: `SystemError` of eventfd(2).
    init(
        _ file: consuming EpochFile, tell: @escaping @Sendable (SystemError) -> Void
    ) throws(SystemError) {
        path = file.path
        state = Mutex(State(wanted: file.epoch, trouble: file.trouble))
        self.file = Mutex(file)
        self.tell = tell
        wake = try WakeUp()
    }

    /// Why the last epoch could not be read or written; nil if it could.
    var trouble: SystemError? { state.withLock { $0.trouble } }

    /// Starts the thread, which ends with `end`.
    func start() throws(SystemError) -> WorkerThread {
        try WorkerThread(named: "ct_sync_disk") { [self] in run() }
    }

    /// Has an epoch written that is higher than all before.
    func record(_ epoch: UInt64) {
        let isHigher = state.withLock { state in
            defer { state.wanted = max(state.wanted, epoch) }
            return epoch > state.wanted
        }
        if isHigher { wake.signal() }
    }

    /// Lets the thread end, everything written.
    func end() {
        state.withLock { $0.isEnding = true }
        wake.signal()
    }

    /// Writes the file as it is: a rehearsal.
    ///
    /// - Throws: `SystemError` if an epoch could not be recorded.
    func rehearse() throws(SystemError) {
        try file.withLock { file throws(SystemError) in try file.rehearse() }
    }

    private func run() {
        var isTold = false
        while true {
            while ctsync_wait(wake.raw, -1, -1) == 0 {}
            wake.clear()
            let (wanted, isEnding) = state.withLock { ($0.wanted, $0.isEnding) }
            let (isNew, trouble) = file.withLock { file in
                let isNew = wanted > file.epoch
                file.record(wanted)
                return (isNew, file.trouble)
            }
            if isNew {
                state.withLock { $0.trouble = trouble }
                if let trouble, !isTold { tell(trouble) }
                isTold = trouble != nil
            }
            if isEnding { return }
        }
    }
}
