// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The lost addresses of a term, for the threads of the events and of the walk: whoever looks first is handed
/// each. If both had a socket, the end of a walk would be told once more of what the other has known since
/// long.
///
/// What is done with it is done under the lock, so who finds nothing knows that the other is done.
final class SharedLosses: AddressLosses, Sendable {
    private let source: Mutex<SendableBox<any AddressLosses>>

    /// - Parameter source: used by nobody else.
    init(_ source: any AddressLosses) {
        self.source = Mutex(SendableBox(source))
    }

    func look(_ body: (AddressLoss) -> Void) throws(SystemError) {
        try source.withLock { box throws(SystemError) in try box.value.look(body) }
    }
}
