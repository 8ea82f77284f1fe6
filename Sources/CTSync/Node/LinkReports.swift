// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What the link's thread lets the control thread know.
final class LinkReports: Sendable {
    /// What a master has heard of other masters.
    struct News {
        /// A claim by which it is superseded.
        var higher: MasterClaim?
        /// A claim that a slave knows of, and that nobody makes any more.
        var outbid: MasterClaim?
        /// Another node was master, with a lower claim.
        var hasBeaten = false
    }

    private let snapshot = Mutex(SlaveStatus())
    private let news = Mutex(News())
    private let taken = Atomic<Bool>(false)
    private let superseded: WakeUp

    /// - Parameter superseded: signalled when there is news for a master.
    init(superseded: WakeUp) {
        self.superseded = superseded
    }

    // MARK: For the control thread

    /// Whether all that another node holds has been taken over.
    var hasTakenOver: Bool { taken.load(ordering: .acquiring) }

    /// Whether the kernel's own entries were not read whole since the node is slave.
    var hasUnread: Bool { snapshot.withLock { $0.hasUnread } }

    /// How it is as slave, as of its last batch.
    var status: SlaveStatus { snapshot.withLock { $0 } }

    /// What this master has heard of others since it was asked last.
    func takeNews() -> News {
        news.withLock { news in
            defer { news = News() }
            return news
        }
    }

    // MARK: For the link's thread

    /// Publishes how it is as slave.
    func publish(_ engine: SlaveEngine, now: Instant) {
        snapshot.withLock { $0.copy(engine, now: now) }
    }

    /// Taking over begins.
    func takesOver() { taken.store(false, ordering: .releasing) }

    /// Everything has been taken over.
    func tookOver() {
        taken.store(true, ordering: .releasing)
        superseded.signal()
    }

    /// Adds to the news.
    func tell(_ change: (inout News) -> Void) {
        news.withLock { change(&$0) }
        superseded.signal()
    }
}
