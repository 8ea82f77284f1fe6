// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// A sync link whose ends take more than the switch between them.
    @Suite struct PathTests {
        /// 9,000 bytes at the ends, 1,500 at the switch: large packets vanish without a word.
        @Test(arguments: [true, false])
        func aTableGoesThroughASwitchThatTakesLess(_ isSealed: Bool) throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                for node in [master, slave] { try node.host.ip("link set sync0 mtu 9000") }
                let files = KeyFiles(cluster: cluster)
                for node in [master, slave] { try files.write(isSealed ? [1] : [], for: node) }
                try files.start(master, .master)
                #expect(try master.count("largest_packet_bytes", in: "link") == 8_952)
                try MadeEntries.create(0..<5_000, in: master.host)
                try files.start(slave, .slave)
                try cluster.waitInSync(within: 30)
                try slave.waitForEqualTable(to: master, atLeast: 5_000)
                #expect(try master.count("largest_packet_bytes", in: "link") == 1_452)
                // Live packets as well, and it is said once.
                try MadeEntries.delete(0..<4_000, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 1_000)
                // Both ends say so, and are well.
                let sentences = [
                    "large packets do not reach node 2; they have at most 1,452 bytes now",
                    "large packets of node 1 do not reach this node; they have at most 1,452 bytes "
                        + "now",
                ]
                for (node, sentence) in zip([master, slave], sentences) {
                    try eventually("\(node.name): the remark", detail: { node.statusLine }) {
                        let status = try node.statusCommand()
                        return status.status == 0 && status.output.contains("\"path_mtu\"")
                            && status.output.contains(sentence)
                    }
                    let text = try node.statusCommand(json: false).output
                    #expect(text.contains("ping -M do -s 8972 "))
                    try eventually("\(node.name): the journal", detail: { node.log }) {
                        node.log.contains(sentence)
                    }
                }
                let lines = master.log.split(separator: "\n").filter { $0.contains(sentences[0]) }
                #expect(lines.count { !$0.contains(": for ") } == 1, "\(lines)")

                // The switch is repaired, and the devices are told: all that they take is used again.
                try cluster.changeSyncSwitch(
                    """
                    link set sync-fw1 mtu 9000
                    link set sync-fw2 mtu 9000
                    link set sync mtu 9000
                    """)
                try master.host.ip("link set sync0 mtu 8000")
                try eventually("larger packets") {
                    try master.count("largest_packet_bytes", in: "link") == 7_952
                }
                try MadeEntries.create(5_000..<9_000, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 5_000)
                #expect(try master.count("largest_packet_bytes", in: "link") == 7_952)
                for node in [master, slave] {
                    try eventually("\(node.name): no remark", detail: { node.statusLine }) {
                        try !node.statusCommand().output.contains("path_mtu")
                    }
                }
            }
        }
    }
}
