// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// What `ct_sync l2drop` says of a node: whether it is dark.
func isDark(_ node: Firewall) throws -> Bool {
    let result = try console(node, "status")
    #expect(result.status == 0 || result.status == 1, "\(result.errors)")
    return result.status == 0
}

/// Runs `ct_sync l2drop status` or `off` on a node, which needs no daemon.
func console(_ node: Firewall, _ action: String) throws -> CommandResult {
    try Command.result(
        of: node.host.words([try Daemon.binary(), "l2drop", action]), deadline: 15)
}

/// Pings of the client to the firewalls' lan address: answered by a node that is not dark.
func echoes(_ cluster: Cluster) throws -> DatagramStream {
    try DatagramStream.icmpEcho(
        from: cluster.client, to: cluster.server, address: Plan.lanGateway(ipv6: false))
}
