// SPDX-License-Identifier: GPL-2.0-or-later

import Dispatch
import Foundation

/// A POSIX thread of its own that a class can keep and anybody may join.
package final class Background: Sendable {
    private let group = DispatchGroup()

    /// Starts a thread of this name.
    package init(named name: String, _ body: @escaping @Sendable () -> Void) {
        let group = group
        group.enter()
        let thread = Thread {
            body()
            group.leave()
        }
        thread.name = name
        thread.start()
    }

    /// Waits for its end.
    package func join() {
        group.wait()
    }
}
