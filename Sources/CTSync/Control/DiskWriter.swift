// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Synchronization

/// Writes the epoch and the history on a thread of its own: a disk that is busy would keep a promotion
/// waiting, for milliseconds as a rule, for seconds under load.
///
/// What a power cut catches before an epoch is written the clock has to do for, and the others' answers. A
/// daemon that is killed finds its epoch in the lock file. A history that cannot be written is in the
/// journal all the same.
final class DiskWriter: Sendable {
    private struct State {
        var epoch: UInt64
        /// A history that is not written yet.
        var history: History?
        var isEnding = false
        var trouble: SystemError?
    }

    /// Where the epoch is written.
    let epochPath: String
    private let file: Mutex<EpochFile>
    private let state: Mutex<State>
    private let wake: WakeUp
    /// Is told of trouble with the epoch once, until a write succeeds.
    private let tell: @Sendable (SystemError) -> Void

    /// One that has written what the epoch's file has.
    ///
    /// - Throws: `SystemError` of eventfd(2).
    init(
        _ file: consuming EpochFile, tell: @escaping @Sendable (SystemError) -> Void
    ) throws(SystemError) {
        epochPath = file.path
        state = Mutex(State(epoch: file.epoch, trouble: file.trouble))
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
            defer { state.epoch = max(state.epoch, epoch) }
            return epoch > state.epoch
        }
        if isHigher { wake.signal() }
    }

    /// Has a history written, if no later one comes before that.
    func record(_ history: History) {
        state.withLock { $0.history = history }
        wake.signal()
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
            let work = state.withLock { state in
                defer { state.history = nil }
                return state
            }
            let (isNew, trouble) = file.withLock { file in
                let isNew = work.epoch > file.epoch
                file.record(work.epoch)
                return (isNew, file.trouble)
            }
            if isNew {
                state.withLock { $0.trouble = trouble }
                if let trouble, !isTold { tell(trouble) }
                isTold = trouble != nil
            }
            if let history = work.history {
                try? TextFile.replace(history.path, with: history.text)
            }
            if work.isEnding { return }
        }
    }
}
