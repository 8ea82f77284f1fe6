// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import LibraryReader
import Testing

@testable import CTSync

extension ClusterTests {
    /// Our readers and libnetfilter_conntrack's on all that the kernel says, of entries of every kind
    /// and of live traffic.
    ///
    /// With CT_SYNC_CORPUS=DIRECTORY in the environment (`make corpus`) they write it there, where
    /// the readers' unit tests find it on machines without namespaces too.
    @Suite struct ReaderTests {
        private func check(_ corpus: Corpus, _ name: String) throws -> ReaderTally {
            var tally = ReaderTally()
            for message in corpus.messages { tally.add(message) }
            for line in tally.differences.prefix(5) { Issue.record("\(line)") }
            if let directory = ProcessInfo.processInfo.environment["CT_SYNC_CORPUS"] {
                try corpus.write(to: "\(directory)/\(name).hex")
            }
            return tally
        }

        @Test func theReadersAgreeOnEveryKindOfEntry() throws {
            try withReportingCluster { cluster in
                let first = cluster.firewalls[0]
                let raw = try RawMessages(in: first.host)
                var corpus = Corpus()
                let count = try FidelityCases.make(cluster)
                corpus.add("entries of every kind, made by hand", try raw.newEvents())
                corpus.add("the table", try raw.dump())
                let expected = try FidelityCases.expect(first)
                corpus.add("what those with a helper expect", try raw.newEvents())
                try FidelityCases.change(first)
                corpus.add("each changed", try raw.newEvents())
                try FidelityCases.change(first)
                corpus.add("each changed again", try raw.newEvents())
                corpus.add("the table", try raw.dump())
                for (family, source) in [("ipv4", "10.1.0.77"), ("ipv6", "fd00:1::77")] {
                    try first.host.run(["conntrack", "-D", "-f", family, "-s", source])
                }
                corpus.add("each deleted", try raw.newEvents())
                let tally = try check(corpus, "made")
                #expect(tally.kinds[.new, default: 0] >= count)
                #expect(tally.kinds[.update, default: 0] >= 4 * count)
                #expect(tally.kinds[.destroy, default: 0] >= count)
                #expect(tally.kinds[.expectNew, default: 0] >= 2 * expected && expected == 6)
                #expect(tally.kinds[.expectDestroy, default: 0] >= expected)
                let all: Entry.Fields = [
                    .status, .timeout, .mark, .protocolInfo, .parent, .helper, .labels,
                    .sequenceAdjustment, .synproxy, .id,
                ]
                #expect(tally.fields == all, "every field has been compared")
                #expect(tally.protocols.isSuperset(of: [1, 6, 17, 47, 58, 89, 132]))
                #expect(tally.tcpStates[.update]?.isSuperset(of: 1...8) == true)
            }
        }

        @Test func theReadersAgreeOnLiveTraffic() throws {
            try scenario(
                translation: .masquerade,
                settings: [
                    "net.netfilter.nf_conntrack_events": 1, "net.netfilter.nf_conntrack_acct": 1,
                    "net.netfilter.nf_conntrack_timestamp": 1,
                ], replication: .on, starts: false
            ) { cluster in
                let raw = try RawMessages(in: cluster.firewalls[0].host)
                var corpus = Corpus()
                let traffic = LiveTraffic(cluster)
                try traffic.prepare()
                for (title, step) in traffic.steps {
                    try step()
                    corpus.add(title, try raw.newEvents())
                }
                corpus.add("the table", try raw.dump())
                try cluster.firewalls[0].flush()
                corpus.add("the end of all", try raw.newEvents())
                let tally = try check(corpus, "traffic")
                #expect(tally.protocols.isSuperset(of: [1, 6, 17, 47, 58, 132]))
                #expect(tally.kinds[.expectNew, default: 0] >= 6)
                #expect(tally.kinds[.expectDestroy, default: 0] >= 4)
                let states = tally.tcpStates.values.reduce(into: Set()) { $0.formUnion($1) }
                #expect(states.isSuperset(of: 1...8), "each state of TCP: \(states)")
                #expect(tally.fields.isSuperset(of: [.parent, .helper, .labels, .mark]))
                #expect(tally.fields.contains(.sequenceAdjustment))
            }
        }
    }
}
