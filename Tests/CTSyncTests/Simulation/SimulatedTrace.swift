// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

@testable import CTSync

/// Prints what happens in a shortened schedule: `CTSYNC_TRACE=1`, or a source port for what happens to
/// the entries of one connection too.
enum SimulatedTrace {
    private static let setting = getenv("CTSYNC_TRACE").map { String(cString: $0) }
    static var isWanted: Bool { setting != nil }
    private static let port = setting.flatMap { UInt16($0) }

    /// Watches a cluster.
    static func watch(_ nodes: [SimulatedNode]) {
        for node in nodes {
            node.isTraced = true
            node.kernel.table.watch = { [unowned node] what, key, cause in
                guard key.tuple.sourcePort == port else { return }
                node.trace("\(what) \(EntryLine.text(Entry(key))) by \(cause)")
            }
        }
    }
}

extension SimulatedNode {
    /// Says what happened, if somebody wants to know.
    func trace(_ text: @autoclosure () -> String) {
        guard isTraced else { return }
        let role = role.map { "\($0)" } ?? "down"
        print("trace \(now / Duration.millisecond) node \(index) \(role): \(text())")
    }
}
