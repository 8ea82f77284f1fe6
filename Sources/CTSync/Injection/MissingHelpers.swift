// SPDX-License-Identifier: GPL-2.0-or-later

/// The helpers that this node's kernel lacks, with how many entries were made without each.
///
/// Fixed in size: the kernel knows a dozen helpers, so a name beyond the last place is rare; it is
/// counted under the empty name.
struct MissingHelpers: Sendable {
    private static let capacity = 16

    struct Item: Sendable, BitwiseCopyable {
        var name = HelperName()
        var count: UInt64 = 0
    }

    private var items = InlineArray<16, Item>(repeating: Item())
    private(set) var nameCount = 0

    /// Counts an entry, or an expectation, that named the helper.
    mutating func count(_ name: HelperName) {
        for index in 0..<nameCount where items[index].name == name {
            items[index].count += 1
            return
        }
        let isFull = nameCount == Self.capacity
        let index = isFull ? Self.capacity - 1 : nameCount
        if isFull {
            items[index].name = HelperName()
        } else {
            items[index].name = name
            nameCount += 1
        }
        items[index].count += 1
    }

    /// Counts one less, of those that were counted.
    mutating func uncount(_ name: HelperName) {
        for index in 0..<nameCount where items[index].name == name {
            items[index].count -= min(items[index].count, 1)
            return
        }
    }

    /// Counts an entry by its helper.
    mutating func count(request entry: borrowing Entry) {
        count(entry.extras.helper)
    }

    /// The helper of this number, with its count.
    subscript(index: Int) -> Item { items[index] }
}
