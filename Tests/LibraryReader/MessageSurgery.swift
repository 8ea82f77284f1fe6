// SPDX-License-Identifier: GPL-2.0-or-later

/// Messages that no kernel sent: made from ones that one did.
extension [UInt8] {
    /// Behind nlmsghdr and nfgenmsg.
    private static var firstAttribute: Int { 20 }

    private func word(at offset: Int) -> Int { Int(self[offset]) | Int(self[offset + 1]) << 8 }

    private mutating func set(_ value: Int, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: value)
        self[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }

    /// Calls with the offset, type and length of each outer attribute.
    private func forEachAttribute(_ body: (Int, Int, Int) -> Void) {
        var offset = Self.firstAttribute
        while offset + 4 <= count {
            let length = word(at: offset)
            guard length >= 4 else { return }
            body(offset, word(at: offset + 2) & 0x3FFF, length)
            offset += (length + 3) & ~3
        }
    }

    /// With other types for outer attributes.
    package func renamingAttributes(_ names: [Int: Int]) -> [UInt8] {
        var copy = self
        forEachAttribute { offset, type, _ in
            guard let name = names[type] else { return }
            copy.set(word(at: offset + 2) & 0xC000 | name, at: offset + 2)
        }
        return copy
    }

    /// Without outer attributes of these types.
    package func removingAttributes(_ types: Set<Int>) -> [UInt8] {
        var copy = Array(self[..<Self.firstAttribute])
        forEachAttribute { offset, type, length in
            guard !types.contains(type) else { return }
            copy += self[offset..<Swift.min(offset + (length + 3) & ~3, count)]
        }
        copy.set(copy.count, at: 0)
        return copy
    }

    /// With one more outer attribute at its end, or at its beginning.
    package func adding(_ type: Int, _ value: [UInt8], atStart: Bool = false) -> [UInt8] {
        var attribute: [UInt8] = [0, 0, 0, 0]
        attribute.set(4 + value.count, at: 0)
        attribute.set(type, at: 2)
        attribute += value
        while attribute.count % 4 != 0 { attribute.append(0) }
        var copy = self
        copy.insert(contentsOf: attribute, at: atStart ? Self.firstAttribute : count)
        copy.set(copy.count, at: 0)
        return copy
    }

    /// The first bytes, whose header says no more than that.
    package func cut(to length: Int) -> [UInt8] {
        var copy = Array(self[..<length])
        if length >= 2 { copy.set(length, at: 0) }
        return copy
    }

    /// The same, and every attribute that the cut goes through says no more either; with it, where the
    /// attribute begins whose value, not a nest of whole headers, is cut.
    package func cutWithNests(to length: Int) -> (bytes: [UInt8], leaf: Int?) {
        var copy = cut(to: length)
        var offset = Self.firstAttribute
        while offset + 4 <= length {
            let end = offset + word(at: offset)
            guard end > length else {
                offset += (word(at: offset) + 3) & ~3
                continue
            }
            copy.set(length - offset, at: offset)
            // NLA_F_NESTED, and its first attribute's header, if there is anything.
            let isNest = self[offset + 3] & 0x80 != 0 && !(1..<4).contains(length - offset - 4)
            guard isNest else { return (copy, offset) }
            offset += 4
        }
        return (copy, nil)
    }
}
