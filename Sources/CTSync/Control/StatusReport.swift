// SPDX-License-Identifier: GPL-2.0-or-later

/// What a daemon says of itself: keys and values in their order, some of them groups.
///
/// On the control socket each value is a line, its key the path to it: `role="master"`,
/// `bad_packets.short=3`, `peers.0.id=2`. The client reads those lines back and shows them.
package struct StatusReport: Sendable, Equatable {
    /// A key and its value.
    package struct Entry: Sendable, Equatable {
        /// Lower-case words joined by underscores, the unit last; no dot.
        package let key: String
        /// The value.
        package var value: StatusValue
    }

    /// The values in their order.
    package private(set) var entries: [Entry] = []

    /// A status without values.
    package init() {}

    /// The value of a key, at this level.
    package subscript(key: String) -> StatusValue? {
        entries.first { $0.key == key }?.value
    }

    /// Adds a value.
    ///
    /// - Parameter key: letters, digits and underscores, not digits alone; all else becomes `_`.
    package mutating func add(_ key: String, _ value: StatusValue) {
        let plain = String(
            key.unicodeScalars.map { scalar -> Character in
                let letter = scalar.isASCII && (scalar.properties.isAlphabetic)
                let digit = scalar.value >= 0x30 && scalar.value <= 0x39
                return letter || digit ? Character(scalar) : "_"
            })
        let named = plain.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? "_" + plain : plain
        entries.append(Entry(key: named, value: value))
    }

    /// Adds a count.
    package mutating func add(_ key: String, _ number: some BinaryInteger) {
        add(key, .number(UInt64(clamping: number)))
    }

    /// Adds yes or no.
    package mutating func add(_ key: String, _ flag: Bool) {
        add(key, .flag(flag))
    }

    /// Adds words; nil for not known.
    package mutating func add(_ key: String, _ text: String?) {
        add(key, text.map { .text($0) } ?? .absent)
    }

    /// Adds a count that may be unknown.
    mutating func add(_ key: String, count: Int?) {
        add(key, count.map { .number(UInt64(clamping: $0)) } ?? .absent)
    }

    /// Adds a time in seconds, given in nanoseconds; nil for not known.
    mutating func add(_ key: String, age nanoseconds: UInt64?) {
        guard let nanoseconds else { return add(key, .absent) }
        add(key, .seconds(microseconds: Int64(nanoseconds / Duration.microsecond)))
    }

    /// Adds a group, filled by the closure.
    package mutating func add(group key: String, _ fill: (inout StatusReport) -> Void) {
        var group = StatusReport()
        fill(&group)
        add(key, .group(group))
    }

    /// Adds a list of groups.
    package mutating func add(list key: String, _ groups: [StatusReport]) {
        add(key, .list(groups))
    }

    /// The value at a path such as `link.packets_in` or `peers.0.id`; nil if there is none.
    package func value(at path: String) -> StatusValue? {
        var value = StatusValue.group(self)
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            switch value {
            case .group(let group):
                guard let next = group[String(part)] else { return nil }
                value = next
            case .list(let list):
                guard let index = Int(part), list.indices.contains(index) else { return nil }
                value = .group(list[index])
            default: return nil
            }
        }
        return value
    }

    /// The lines of the control socket.
    package var lines: [ControlLine] {
        var lines: [ControlLine] = []
        appendLines(to: &lines, prefix: "")
        return lines
    }

    private func appendLines(to lines: inout [ControlLine], prefix: String) {
        for entry in entries {
            let path = prefix + entry.key
            if let text = entry.value.wireForm {
                lines.append(ControlLine(path, text))
            } else if case .group(let group) = entry.value {
                group.appendLines(to: &lines, prefix: path + ".")
            } else if case .list(let list) = entry.value {
                for (index, group) in list.enumerated() {
                    group.appendLines(to: &lines, prefix: "\(path).\(index).")
                }
            }
        }
    }

    /// Reads the lines of a daemon back.
    ///
    /// - Returns: nil if a line is none of a status.
    package static func parse(_ lines: [ControlLine]) -> StatusReport? {
        var report = StatusReport()
        for line in lines {
            let path = line.key.split(separator: ".", omittingEmptySubsequences: false)
            guard let value = StatusValue(wireForm: line.value),
                report.insert(value, at: path[...])
            else { return nil }
        }
        return report
    }

    /// Puts a value where its path says; false if something else is already there.
    private mutating func insert(_ value: StatusValue, at path: ArraySlice<Substring>) -> Bool {
        guard let first = path.first, !first.isEmpty, path.count <= 8 else { return false }
        let index = entries.firstIndex { $0.key == first }
        let rest = path.dropFirst()
        guard let second = rest.first else {
            guard index == nil else { return false }
            entries.append(Entry(key: String(first), value: value))
            return true
        }
        if let element = Int(second) {
            var list: [StatusReport] = []
            if let index {
                guard case .list(let there) = entries[index].value else { return false }
                list = there
            }
            guard element >= 0, element <= list.count else { return false }
            if element == list.count { list.append(StatusReport()) }
            guard list[element].insert(value, at: rest.dropFirst()) else { return false }
            set(.list(list), String(first), index)
        } else {
            var group = StatusReport()
            if let index {
                guard case .group(let there) = entries[index].value else { return false }
                group = there
            }
            guard group.insert(value, at: rest) else { return false }
            set(.group(group), String(first), index)
        }
        return true
    }

    private mutating func set(_ value: StatusValue, _ key: String, _ index: Int?) {
        if let index {
            entries[index].value = value
        } else {
            entries.append(Entry(key: key, value: value))
        }
    }
}
