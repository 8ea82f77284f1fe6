// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What one thread of a test tells another.
final class Flag: Sendable {
    private let value = Atomic(false)

    /// Sets or clears it.
    ///
    /// - Returns: what it was.
    @discardableResult
    func set(_ isSet: Bool) -> Bool { value.exchange(isSet, ordering: .acquiringAndReleasing) }

    var isSet: Bool { value.load(ordering: .acquiring) }
}
