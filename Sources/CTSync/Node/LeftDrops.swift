// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// Drops that are on although this daemon does not manage them, which would keep its node dark.
///
/// Thread: control. One of this instance's name was left by an earlier daemon, when this one has
/// l2drop=0: it goes. One of another name may be a running daemon's: it is named, once.
final class LeftDrops {
    private static let patience = 100 * Duration.millisecond

    private let own: String
    private let isManaged: Bool
    private let log: Logger
    private var named: Set<String> = []
    private var isDue = false

    /// Why an earlier daemon's drop is still on; empty if none is.
    private(set) var failure = ""

    /// Looks at nothing yet.
    ///
    /// - Parameter isManaged: whether the drop of this instance is a `Darkness`'s.
    init(_ configuration: Configuration, isManaged: Bool, log: Logger) {
        own = L2Drop.name(of: Darkness.instance(configuration))
        self.isManaged = isManaged
        self.log = log
    }

    /// Has `lookAfter` look.
    func lookLater() {
        isDue = true
    }

    /// Looks if that was asked for, and the first packet after a promotion has had its time.
    func lookAfter(_ promotion: Instant, now: Instant) {
        guard isDue, now >= promotion + Self.patience else { return }
        look()
    }

    /// Looks; that takes 40 ms with all programs there.
    func look() {
        isDue = false
        let found: [String]
        do throws(L2DropError) {
            found = try L2Drop.status().map(\.name)
        } catch {
            return log.info("cannot tell whether an earlier daemon left the node dark: \(error)")
        }
        for name in found where name != own && named.insert(name).inserted {
            log.warning(
                """
                the node is dark by \(name), which belongs to another control file; if no daemon \
                runs for that any more, run ct_sync l2drop off
                """)
        }
        failure = ""
        guard !isManaged, found.contains(own) else { return }
        do throws(L2DropError) {
            try L2Drop.remove { $0 == own }
            log.notice("l2drop, left on by an earlier daemon, is off now")
        } catch {
            failure = "the node is still dark: \(error)"
            log.critical("\(failure)")
        }
    }
}
