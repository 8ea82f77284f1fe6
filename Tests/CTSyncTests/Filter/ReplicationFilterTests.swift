// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct ReplicationFilterTests {
    private func filter(_ texts: [String], own: Bool = false) throws -> ReplicationFilter {
        let sync = ReplicationFilter.Network(
            address: Address(ipv4: 0xAC1F_FF01), prefixLength: 24, family: .ipv4)
        return ReplicationFilter(
            ownAddresses: [Address(ipv4: 0x0A01_0001), sync.address], syncNetworks: [sync],
            rules: try texts.map { try ReplicationRule(text: $0) }, replicatesOwn: own)
    }

    private func entry(
        _ source: UInt32 = 0x0A01_0002, to destination: UInt32 = 0x0A02_0002,
        _ number: UInt8 = ProtocolNumber.tcp, state: UInt8? = TCPState.established,
        status: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED], mark: UInt32 = 0, zone: UInt16 = 0
    ) -> Entry {
        let tuple = Tuple(
            family: .ipv4, protocolNumber: number, source: Address(ipv4: source),
            destination: Address(ipv4: destination), sourcePort: 1, destinationPort: 2)
        var entry = Entry(Key(tuple, zone: zone))
        entry.status = status
        entry.mark = mark
        entry.fields = [.status, .timeout]
        if let state {
            entry.protocolInfo.state = state
            entry.fields.insert(.protocolInfo)
        }
        return entry
    }

    @Test func theFirstRuleThatHoldsDecidesThenTheOppositeOfTheLast() throws {
        let none = try filter([])
        #expect(none.verdict(entry()) == .always)
        let web = try filter(["accept protocol tcp", "accept protocol udp"])
        #expect(web.verdict(entry()) == .always)
        #expect(web.verdict(entry(0x0A01_0002, ProtocolNumber.sctp)) == .never)
        let hole = try filter([
            "accept source 10.1.0.2", "ignore source 10.1.0.0/16", "ignore zone 9",
        ])
        #expect(hole.verdict(entry()) == .always)
        #expect(hole.verdict(entry(0x0A01_0003)) == .never)
        #expect(hole.verdict(entry(0x0A03_0003)) == .always)
        #expect(hole.verdict(entry(0x0A03_0003, zone: 9)) == .never)
    }

    @Test func whatCanChangeIsToldFromWhatCannot() throws {
        let open = try filter(["accept state ESTABLISHED,FIN_WAIT", "ignore protocol tcp"])
        #expect(open.verdict(entry()) == .now)
        #expect(open.verdict(entry(state: TCPState.synSent)) == .notNow)
        #expect(open.verdict(entry(state: nil)) == .unknown)
        #expect(open.verdict(entry(0x0A01_0002, ProtocolNumber.udp, state: nil)) == .always)
        // A flowtable keeps the state to itself.
        let offloaded = entry(state: nil, status: [.IPS_ASSURED, .IPS_OFFLOAD])
        #expect(open.verdict(offloaded) == .now)
        let marked = try filter(["accept mark 0x1/0x1"])
        #expect(marked.verdict(entry(mark: 3)) == .now)
        #expect(marked.verdict(entry(mark: 2)) == .notNow)
        // Ignored one way or the other.
        let both = try filter(["ignore assured", "ignore protocol tcp"])
        #expect(both.verdict(entry()) == .never)
    }

    @Test func unassuredWasNeverReplicatedWhereAssuredIsAskedFor() throws {
        let assured = try filter(["accept assured"])
        #expect(assured.verdict(entry(status: [])) == .notNow)
        #expect(!assured.mayHaveAdmitted(entry(status: [])))
        #expect(assured.mayHaveAdmitted(entry()))
        var silent = entry()
        silent.fields.remove(.status)
        #expect(assured.mayHaveAdmitted(silent))
    }

    @Test func noRuleReachesLoopbackTheSyncLinkAndOwnAddresses() throws {
        let all = try filter(["accept"])
        #expect(all.verdict(entry(0x7F00_0001)) == .never)
        #expect(all.verdict(entry(0xAC1F_FF02, to: 0xAC1F_FF03)) == .never)
        #expect(all.verdict(entry(to: 0x0A01_0001)) == .never)
        #expect(all.verdict(entry(0x0A01_0001)) == .never)
        let own = try filter(["ignore protocol udp"], own: true)
        #expect(own.verdict(entry(to: 0x0A01_0001)) == .always)
        #expect(own.verdict(entry(0xAC1F_FF02, to: 0xAC1F_FF01)) == .never)
        #expect(!own.adopts(entry(to: 0x0A01_0001)) && own.adopts(entry()))
        // Translated: it ends at the reply's source.
        var translated = entry(to: 0x0A01_0001)
        translated.reply.source = Address(ipv4: 0x0A02_0002)
        #expect(all.verdict(translated) == .always)
    }

    /// Against every way a connection can change: what is said for life is true for life.
    @Test(arguments: [UInt64(1), 2, 3]) func verdictsAreTrueWhateverChanges(_ seed: UInt64) {
        var random = SeededRandom(seed)
        for _ in 0..<2_000 {
            let filter = ReplicationFilter(
                ownAddresses: [], syncNetworks: [], rules: SampleRules.random(using: &random))
            var base = SampleRules.entry(using: &random)
            if random.chance(30) { base.fields.remove(.protocolInfo) }
            let verdict = filter.verdict(base)
            var accepted = 0
            var variants = 0
            for change in 0..<36 {
                var entry = base
                entry.status = change % 2 == 0 ? [] : .IPS_ASSURED
                entry.mark = UInt32(change / 2 % 3)
                entry.protocolInfo.state = UInt8(change / 6 + 1)
                entry.fields.formUnion([.status, .mark])
                if entry.key.tuple.protocolNumber == ProtocolNumber.tcp {
                    entry.fields.insert(.protocolInfo)
                }
                variants += 1
                guard filter.admits(entry) else { continue }
                accepted += 1
                #expect(filter.mayAdmit(base) && filter.mayHaveAdmitted(entry), "seed \(seed)")
            }
            if verdict == .always { #expect(accepted == variants, "seed \(seed)") }
            if verdict == .never { #expect(accepted == 0, "seed \(seed)") }
            if verdict == .unknown { #expect(!base.fields.contains(.protocolInfo)) }
        }
    }
}
