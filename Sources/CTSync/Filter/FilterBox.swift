// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The filter that the threads share: the control thread replaces it when addresses change, the
/// others take a copy for each batch.
final class FilterBox: Sendable {
    private let filter: Mutex<ReplicationFilter>

    /// A box that holds this filter first.
    init(_ filter: ReplicationFilter) {
        self.filter = Mutex(filter)
    }

    /// The filter as it is now.
    var current: ReplicationFilter {
        get { filter.withLock { $0 } }
        set { filter.withLock { $0 = newValue } }
    }
}
