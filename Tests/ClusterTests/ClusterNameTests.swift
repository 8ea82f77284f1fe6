// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// Two clusters on one wire, with one group and port: a configuration was copied.
    @Suite struct ClusterNameTests {
        /// Without names the older cluster's master gives way to the stranger.
        @Test(arguments: [true, false])
        func twoClustersOnOneWireKeepApart(_ isNamed: Bool) throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                func flags(_ name: String) -> [String] { isNamed ? ["--cluster", name] : [] }
                try MadeEntries.create(0..<30, in: first.host)
                try MadeEntries.create(100..<130, in: second.host)
                try first.start(role: .master, flags("east"))
                try second.start(role: .master, flags("west"))
                guard isNamed else { return try first.waitForRole(.slave) }
                for node in [first, second] {
                    try eventually("the stranger is named", detail: { node.statusLine }) {
                        try node.status()?.text.contains("is of another cluster") == true
                    }
                    #expect(try node.status()?.role == .master)
                    #expect(try node.count() == 30)
                }
            }
        }
    }
}
