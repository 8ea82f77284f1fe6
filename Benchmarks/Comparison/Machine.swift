// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// Where and when something was measured.
struct Machine: Codable {
    let date: String
    let kernel: String
    let processor: String
    let processors: Int

    /// This one, now.
    init() {
        date = ISO8601DateFormatter().string(from: Date())
        var name = utsname()
        uname(&name)
        kernel = withUnsafeBytes(of: name.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        processor =
            model?.split(separator: ":").last.map {
                $0.trimmingCharacters(in: .whitespaces)
            } ?? "unknown"
        processors = sysconf(CInt(_SC_NPROCESSORS_ONLN))
    }

    /// With what the figures of so many rounds are.
    func text(rounds: Int) -> String {
        "Linux \(kernel), \(processor), \(processors) processors, \(date.prefix(10)); "
            + (rounds == 1 ? "one round" : "medians and ranges of \(rounds) rounds")
    }
}
