// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What the link's thread lets the control thread know.
final class LinkReports: Sendable {
    private let snapshot = Mutex(SlaveStatus())
    private let news = Mutex(MasterNews())
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
    func takeNews() -> MasterNews {
        news.withLock { news in
            defer { news = MasterNews() }
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
    func tell(_ consequence: MasterProtocol.Consequence) {
        news.withLock { $0.add(consequence) }
        superseded.signal()
    }
}
