// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The keys of a node: the first seals, all of them open. Read by the threads of the link, replaced by
/// the control thread when the key file is read again.
final class SealKeyRing: Sendable {
    /// The most keys: the one in use, and the one before or after it, with room for a mistake.
    static let limit = 4

    /// One key and the id that packets name it by.
    struct Item: Sendable, BitwiseCopyable {
        let id: UInt8
        let key: SealKey
    }

    private let items: Mutex<[Item]>
    private let version = Atomic<UInt64>(1)
    /// Mixed into every key that is made of these.
    let cluster: String

    /// A ring of these keys.
    ///
    /// - Parameter keys: at most `limit`; the first seals. Without one nothing can be sealed.
    /// - Throws: `ConfigurationError` if two of them have one id.
    init(_ keys: [SealKey], cluster: String) throws(ConfigurationError) {
        items = Mutex(try Self.items(keys, cluster))
        self.cluster = cluster
    }

    /// Replaces the keys; whoever uses them notices by `generation`.
    ///
    /// - Throws: as `init`; then nothing has changed.
    func replace(_ keys: [SealKey]) throws(ConfigurationError) {
        let new = try Self.items(keys, cluster)
        items.withLock { $0 = new }
        version.wrappingAdd(1, ordering: .releasing)
    }

    private static func items(
        _ keys: [SealKey], _ cluster: String
    ) throws(ConfigurationError) -> [Item] {
        precondition(keys.count <= limit)
        let derivation = SealDerivation(cluster: cluster)
        let items = keys.map { Item(id: derivation.keyID($0), key: $0) }
        guard Set(items.map(\.id)).count == items.count else {
            throw ConfigurationError(
                "two of the keys have the same id, as happens once in 256 times; make another one "
                    + "with ct_sync genkey")
        }
        return items
    }

    /// Another number after each `replace`.
    var generation: UInt64 { version.load(ordering: .acquiring) }

    /// The keys, the sealing one first.
    var all: [Item] { items.withLock { $0 } }
}
