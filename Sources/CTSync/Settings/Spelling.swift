// SPDX-License-Identifier: GPL-2.0-or-later

/// Which of a few words was meant.
package enum Spelling {
    /// The word that is at most two slips away, and fewer than half of its letters; nil if none is.
    ///
    /// - Parameter word: what was given.
    package static func nearest(to word: String, among words: [String]) -> String? {
        let near = words.map { ($0, slips(Array(word.utf8.prefix(32)), Array($0.utf8))) }
        let best = near.min { $0.1 < $1.1 }
        guard let best, best.1 <= 2, 2 * best.1 < best.0.utf8.count else { return nil }
        return best.0
    }

    /// Letters left out, added, changed, or swapped with the next one.
    static func slips(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var line = [row + 1]
            for column in right.indices {
                var cost = min(
                    last[column + 1] + 1, line[column] + 1,
                    last[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1],
                    left[row - 1] == right[column]
                {
                    cost = min(cost, before[column - 1] + 1)
                }
                line.append(cost)
            }
            (before, last) = (last, line)
        }
        return last[right.count]
    }
}
