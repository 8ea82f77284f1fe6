// SPDX-License-Identifier: GPL-2.0-or-later

/// A setting or a number of the kernel's that the engines rest on: a sysctl of net.netfilter.
enum KernelSetting: String, Sendable {
    /// 0 off, 1 on, 2 on while somebody listens.
    case events = "nf_conntrack_events"
    /// The size of the hash; a walk that runs while it changes skips entries, and nothing says so.
    case buckets = "nf_conntrack_buckets"
    /// Entries of this namespace.
    case count = "nf_conntrack_count"
    /// How many entries there may be, of all namespaces together; 0 for any number.
    case limit = "nf_conntrack_max"
}

extension KernelTable {
    /// Whether an entry that is deleted can be made again: the limit may be below what there is. True also
    /// if that cannot be read.
    var hasRoom: Bool {
        do throws(SystemError) {
            let limit = try setting(.limit)
            guard limit > 0 else { return true }
            return try setting(.count) <= limit
        } catch {
            return true
        }
    }
}

/// A setting that the daemon makes, and looks at again: somebody may set it back. It is read before
/// it is written, so a value that is right is no trouble where nothing can be written.
struct KeptSetting: Sendable {
    /// How one is.
    enum State: Sendable, Equatable {
        /// As it should be.
        case right
        /// It was at a value at which nothing is lost, and is set.
        case set
        /// It was at a value at which something was lost, and is set.
        case mended
        /// It cannot be set (errno(3)); nothing is lost meanwhile.
        case tolerable(CInt)
        /// It cannot be set, and something is lost.
        case wrong(CInt)
    }

    var setting: KernelSetting
    var wanted: UInt64
    /// Other values at which a running daemon loses nothing.
    var tolerable: Set<UInt64>
    /// What is lost while it is wrong, and while it is tolerable.
    var loss: String
    var risk: String

    /// All of them; what the daemon sets of the sync link is in `LinkUpkeep`, each with a trouble of
    /// its own too.
    static let all = [events]

    static let events = KeptSetting(
        setting: .events, wanted: 1, tolerable: [2],
        loss: "no change of a connection is replicated",
        risk: "connections that begin while no daemon runs may end unnoticed")

    /// Looks at it, and sets it if it is not right.
    ///
    /// - Throws: `SystemError` if it cannot be read.
    func keep(in kernel: some KernelTable) throws(SystemError) -> State {
        let value = try kernel.setting(setting)
        guard value != wanted else { return .right }
        let isTolerable = tolerable.contains(value)
        do throws(SystemError) {
            try kernel.set(setting, to: wanted)
        } catch {
            return isTolerable ? .tolerable(error.errno) : .wrong(error.errno)
        }
        return isTolerable ? .set : .mended
    }

    /// What is to be said of a state; nil if it is well.
    func sentence(_ state: State) -> String? {
        let name = "net.netfilter.\(setting.rawValue)"
        return switch state {
        case .right, .set: nil
        case .mended: "\(name) was not \(wanted): \(loss) then; it is \(wanted) again"
        case .tolerable: "\(name) is not \(wanted) and cannot be set: \(risk)"
        case .wrong: "\(name) is not \(wanted) and cannot be set: \(loss)"
        }
    }
}

/// What the end of a walk of the table rests on: it is compared with how it was at the begin.
struct WalkConditions: Equatable, Sendable {
    var buckets: UInt64 = 0
    var events: UInt64 = 1
    /// Entries of the table.
    var count: UInt64 = 0

    /// So few entries may come and go within a walk.
    private static let smallCount: UInt64 = 1_000

    /// Whether a walk that began with these, ended with others and saw so many entries saw all that
    /// was there: whether what it did not see is gone.
    func prove(_ end: WalkConditions, seen: UInt64) -> Bool {
        let least = min(count, end.count)
        return buckets == end.buckets && events != 0 && end.events != 0
            && (least < Self.smallCount || seen >= least / 2)
    }
}

extension WalkConditions {
    /// Those of a kernel.
    ///
    /// - Throws: `SystemError` if one cannot be read.
    init(of kernel: some KernelTable) throws(SystemError) {
        buckets = try kernel.setting(.buckets)
        events = try kernel.setting(.events)
        count = try kernel.setting(.count)
    }
}
