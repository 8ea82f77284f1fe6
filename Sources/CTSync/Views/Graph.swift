// SPDX-License-Identifier: GPL-2.0-or-later

/// Numbers as a row of small bars.
enum Graph {
    private static let bars = Array("▁▂▃▄▅▆▇█")
    /// For a terminal that knows ASCII only.
    private static let plainBars = Array("_.-=+*#@")

    /// The last numbers, one a column, from the least of them to the largest.
    ///
    /// - Parameter floor: the least number that the bars begin with, if the numbers do not go below.
    static func text(
        _ numbers: some BidirectionalCollection<UInt64>, width: Int, floor: UInt64? = nil,
        isPlain: Bool = false
    ) -> String {
        let shown = numbers.suffix(max(0, width))
        guard let largest = shown.max(), let smallest = shown.min() else { return "" }
        let least = min(floor ?? smallest, smallest)
        let steps = isPlain ? plainBars : bars
        return String(
            shown.map { number -> Character in
                guard largest > least else { return steps[0] }
                let share = Double(number - least) / Double(largest - least)
                return steps[min(steps.count - 1, Int(share * Double(steps.count)))]
            })
    }
}
