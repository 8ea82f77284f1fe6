// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// Packets that pass the old master for a while after its demotion.
    @Suite struct StrayTests {
        /// Its neighbours have not learned yet. What its kernel remembers of the windows is old when it
        /// is master again: each direction would acknowledge what this kernel has not seen.
        @Test func theOldMasterForgetsWhatStraysHaveShownIt() throws {
            try scenario(translation: .masquerade, replication: .on) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                try second.write("1\n")
                try second.waitForRole(.master)
                try first.waitForRole(.slave)
                try cluster.waitInSync()
                for _ in 0..<3 { try connection.exchange() }
                try cluster.unplug(first)
                try cluster.plug(second)
                for _ in 0..<3 { try connection.exchange() }
                try eventually("an entry that no packet has passed", detail: { cluster.logs }) {
                    let tracked = try first.table().compactMap(\.tcp)
                    return !tracked.isEmpty && tracked.allSatisfy { !$0.isAcknowledged }
                }
                for _ in 0..<3 { try connection.exchange() }
                try cluster.demote(second)
                try cluster.promote(first)
                for _ in 0..<3 { try connection.exchange(within: 5) }
            }
        }
    }
}
