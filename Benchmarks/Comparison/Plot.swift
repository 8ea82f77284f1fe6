// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// Lines over two axes, as SVG that is readable on a light and on a dark page.
struct Plot {
    /// How an axis goes from its least to its greatest value.
    enum Scale {
        case linear
        case logarithmic
    }

    /// An axis.
    struct Axis {
        let title: String
        let scale: Scale
        /// Values that are marked, in order; the axis reaches from the first to the last.
        let marks: [Double]

        /// One whose marks are round numbers: from 0 to the greatest value, or the powers of ten and their
        /// halves around all values.
        init(_ title: String, _ scale: Scale, around values: [Double]) {
            self.title = title
            self.scale = scale
            let (least, most) = (values.min() ?? 0, values.max() ?? 1)
            switch scale {
            case .linear:
                let step = Self.step(most / 5)
                marks = (0...Int((most / step).rounded(.up))).map { Double($0) * step }
            case .logarithmic:
                let powers = Int(log10(least).rounded(.down))...Int(log10(most).rounded(.up))
                let multiples: [Double] = powers.count > 4 ? [1] : [1, 2, 5]
                let all = powers.flatMap { power in multiples.map { $0 * pow(10, Double(power)) } }
                let first = all.lastIndex { $0 <= least } ?? 0
                let last = all.firstIndex { $0 >= most } ?? all.count - 1
                marks = Array(all[first...max(last, first + 1)])
            }
        }

        private static func step(_ about: Double) -> Double {
            let power = pow(10, log10(max(about, 1e-9)).rounded(.down))
            return [1, 2, 5, 10].map { $0 * power }.first { $0 >= about } ?? power
        }

        /// Where a value is: 0 at the first mark, 1 at the last.
        fileprivate func place(_ value: Double) -> Double {
            guard let first = marks.first, let last = marks.last, last > first else { return 0 }
            switch scale {
            case .linear: return (value - first) / (last - first)
            case .logarithmic: return log(value / first) / log(last / first)
            }
        }
    }

    /// A line, its points in order.
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    let title: String
    let across: Axis
    let up: Axis
    let lines: [Line]

    private static let (width, height) = (720.0, 400.0)
    private static let (left, right, top, bottom) = (70.0, 230.0, 40.0, 50.0)
    private static let colors = [
        "#3b7dd8", "#d9822b", "#2e9e6b", "#b0448c", "#8a6d3b", "#5b6b7a", "#c23b3b", "#4aa3a3",
    ]

    /// The picture.
    var svg: String {
        var parts = [Self.head(title)]
        for mark in across.marks {
            let x = column(mark)
            parts.append(Self.grid(x, Self.top, x, Self.height - Self.bottom))
            parts.append(
                Self.text(Self.label(mark), x, Self.height - Self.bottom + 16, "middle"))
        }
        for mark in up.marks {
            let y = row(mark)
            parts.append(Self.grid(Self.left, y, Self.width - Self.right, y))
            parts.append(Self.text(Self.label(mark), Self.left - 6, y + 4, "end"))
        }
        let middle = (Self.left + Self.width - Self.right) / 2
        parts.append(Self.text(across.title, middle, Self.height - 12, "middle"))
        parts.append(Self.text(up.title, 8, Self.top - 8, "start"))
        for (number, line) in lines.enumerated() {
            let color = Self.colors[number % Self.colors.count]
            let points = line.points.map { String(format: "%.1f,%.1f", column($0.x), row($0.y)) }
            parts.append(
                "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\" "
                    + "points=\"\(points.joined(separator: " "))\"/>")
            parts += line.points.map { point in
                String(
                    format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%@\"/>",
                    column(point.x), row(point.y), color)
            }
            let y = Self.top + 10 + Double(number) * 20
            let place = Self.width - Self.right + 14
            parts.append(
                String(
                    format: "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%@\"/>",
                    place, y - 10, color))
            parts.append(Self.text(line.name, place + 18, y, "start"))
        }
        return (parts + ["</svg>", ""]).joined(separator: "\n")
    }

    private func column(_ value: Double) -> Double {
        Self.left + across.place(value) * (Self.width - Self.left - Self.right)
    }

    private func row(_ value: Double) -> Double {
        Self.height - Self.bottom - up.place(value) * (Self.height - Self.top - Self.bottom)
    }

    // MARK: Parts of SVG

    private static func head(_ title: String) -> String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(width)) \(Int(height))" role="img">
        <title>\(escaped(title))</title>
        <style>
        text { font: 12px sans-serif; fill: #222; }
        .grid { stroke: #ddd; }
        @media (prefers-color-scheme: dark) { text { fill: #ddd; } .grid { stroke: #444; } }
        </style>
        <text x="\(Int(left))" y="16" font-weight="bold">\(escaped(title))</text>
        """
    }

    private static func grid(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        String(
            format: "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x1,
            y1, x2, y2)
    }

    private static func text(
        _ text: String, _ x: Double, _ y: Double, _ anchor: String
    ) -> String {
        String(
            format: "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%@\">%@</text>", x, y, anchor,
            escaped(text))
    }

    private static func label(_ value: Double) -> String {
        value >= 10_000 ? String(format: "%.0fk", value / 1_000) : String(format: "%g", value)
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;")
            .replacingOccurrences(of: "<", with: "&lt;")
    }
}
