// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

@Suite(.serialized) struct NeighbourAnnouncerTests {
    @Test func neighbourLearnsTheNewStation() throws {
        let hosts = try TwoHosts()
        try hosts.inNeighbour {
            try NetworkNamespace.shell(
                """
                ip neigh replace 10.1.0.1 lladdr 02:00:00:00:00:99 dev w0 nud stale
                ip neigh replace fd01::1 lladdr 02:00:00:00:00:99 dev w0 nud stale
                """)
        }
        let captures = try hosts.captures(["w0", "w1", "w9"])
        try hosts.inNode {
            try NetworkNamespace.shell("ip addr add 10.1.0.77/24 dev eth0 label eth0:1")
            let announcer = try NeighbourAnnouncer(excluding: ["sync"])
            let round = try announcer.announce()
            #expect(round.sentFrames > 8)
            #expect(round.refusedFrames == 0)
        }
        let arps = try captures[0].take().filter { Array($0[12..<14]) == [0x08, 0x06] }
        for address: [UInt8] in [[10, 1, 0, 1], [10, 1, 0, 77], [10, 3, 0, 1]] {
            #expect(arps.filter { Array($0[28..<32]) == address }.count == 2)
        }
        #expect(try captures[1].take().contains { Array($0[28..<32]) == [10, 2, 0, 1] })
        #expect(try captures[2].take().allSatisfy { Array($0[12..<14]) != [0x08, 0x06] })
        let station = try hosts.station("eth0")
        let text = station.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            .joined(separator: ":")
        try hosts.inNeighbour {
            for address in ["10.1.0.1", "fd01::1"] {
                let path = try #require(ChildProcess.find("ip"))
                let shown = try ChildProcess.run(path, ["neigh", "show", address]).output
                #expect(shown.contains(text), "\(shown)")
            }
        }
    }
}
