// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation

/// The brightness of each point of a PNG file (RFC 2083) of eight bits a colour, without a palette, as a
/// browser writes it.
struct Picture {
    struct Malformed: Error {}

    let width: Int
    let height: Int
    /// From 0 to 255, in lines from the top.
    private(set) var brightness: [UInt8] = []

    /// Reads a file; perl's zlib unpacks it.
    init(png file: String) throws {
        let script = """
            use Compress::Zlib; open my $in, "<:raw", $ARGV[0] or die; local $/; my $png = <$in>;
            my ($at, $packed, $header) = (8, "", "");
            while ($at < length $png) {
                my ($length, $kind) = unpack "N a4", substr $png, $at, 8;
                $packed .= substr $png, $at + 8, $length if $kind eq "IDAT";
                $header = substr $png, $at + 8, $length if $kind eq "IHDR";
                $at += $length + 12;
            }
            open my $out, ">:raw", "$ARGV[0].raw" or die;
            print $out $header, uncompress($packed) or die;
            """
        try Command.run(["perl", "-e", script, file])
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file + ".raw")))
        guard bytes.count > 13, bytes[8] == 8, let channels = [2: 3, 6: 4][bytes[9]] else {
            throw Malformed()
        }
        func number(_ at: Int) -> Int { bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
        (width, height) = (number(0), number(4))
        let length = width * channels
        guard bytes.count == 13 + height * (1 + length) else { throw Malformed() }
        var above = [UInt8](repeating: 0, count: length)
        for line in 0..<height {
            let start = 13 + line * (1 + length)
            var points = Array(bytes[start + 1..<start + 1 + length])
            for place in 0..<length {
                let left = place < channels ? 0 : points[place - channels]
                let corner = place < channels ? 0 : above[place - channels]
                points[place] &+= Self.predicted(bytes[start], left, above[place], corner)
            }
            above = points
            for point in stride(from: 0, to: length, by: channels) {
                let sum = points[point..<point + 3].reduce(0) { $0 + Int($1) }
                brightness.append(UInt8(sum / 3))
            }
        }
    }

    /// What a filter of a line takes a byte for (RFC 2083, 6).
    private static func predicted(
        _ filter: UInt8, _ left: UInt8, _ above: UInt8, _ corner: UInt8
    ) -> UInt8 {
        switch filter {
        case 1: return left
        case 2: return above
        case 3: return UInt8((Int(left) + Int(above)) / 2)
        case 4:
            let guess = Int(left) + Int(above) - Int(corner)
            let nearest = [left, above, corner].min {
                abs(guess - Int($0)) < abs(guess - Int($1))
            }
            return nearest ?? 0
        default: return 0
        }
    }
}
