// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// Connections that begin through a firewall that has given way, as the neighbours do not know yet
    /// where its addresses are now.
    @Suite struct LateBirthTests {
        enum Moment: CaseIterable {
            /// The manager has demoted it and not promoted the other yet.
            case betweenTheOrders
            /// The other is master; the addresses have not moved yet.
            case afterThePromotion
            /// The same, and the node that has given way is stopped at once.
            case beforeTheStop
        }

        @Test(arguments: Moment.allCases)
        func theyGoOnThroughTheNewMaster(_ moment: Moment) throws {
            let pair = try TakeoverPair(.vips, byKeepalived: false)
            defer { pair.close() }
            let (cluster, nodes) = (pair.cluster, pair.cluster.firewalls)
            let service = Plan.service(ipv6: false)
            let server = try EchoServer(on: service, in: cluster.server)
            defer { server.stop() }
            switch moment {
            case .betweenTheOrders:
                try pair.order(0, .slave)
            case .afterThePromotion, .beforeTheStop:
                try pair.order(1, .master)
                try nodes[0].waitForRole(.slave)
            }
            let open = try (0..<20).map { _ in
                try EchoConnection(from: cluster.client, to: service)
            }
            for connection in open { try connection.exchange() }
            if moment == .betweenTheOrders { try pair.order(1, .master) }
            if moment == .beforeTheStop { try nodes[0].stop() }
            try eventually("connections at the new master", detail: { cluster.logs }) {
                try nodes[1].table().count { $0.original.destinationPort == service.port }
                    == open.count
            }
            try pair.moveAddresses(to: 1)
            for connection in open { try connection.exchange(within: 10) }
            guard moment != .beforeTheStop else { return }
            try cluster.waitInSync()
            try nodes[0].waitForEqualTable(to: nodes[1])
        }
    }
}
