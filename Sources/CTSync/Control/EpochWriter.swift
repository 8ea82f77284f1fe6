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
        var written: UInt64
        var isEnding = false
        var trouble: SystemError?
        var isTold = false
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
        state = Mutex(State(wanted: file.epoch, written: file.epoch, trouble: file.trouble))
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
        while true {
            while ctsync_wait(wake.raw, -1, -1) == 0 {}
            wake.clear()
            let (wanted, isNew, isEnding) = state.withLock {
                ($0.wanted, $0.wanted > $0.written, $0.isEnding)
            }
            if isNew { write(wanted) }
            if isEnding { return }
        }
    }

    private func write(_ epoch: UInt64) {
        let trouble = file.withLock { file in
            file.record(epoch)
            return file.trouble
        }
        let isTold = state.withLock { state in
            defer { state.isTold = trouble != nil }
            (state.written, state.trouble) = (epoch, trouble)
            return state.isTold
        }
        if let trouble, !isTold { tell(trouble) }
    }
}
