// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// An event that says too little for the rules, or for a slave, is completed from the kernel's table.
@Suite struct EventSieveTests {
    private let kernel = SimulatedKernel(Chance(seed: 1))

    private func sift(_ event: Entry, _ rule: String) throws -> (EventSieve.Outcome, Entry) {
        let filter = ReplicationFilter(
            ownAddresses: [], syncNetworks: [], rules: [try ReplicationRule(text: rule)])
        var entry = event
        let sieve = EventSieve(try kernel.makeLookup())
        return (sieve.sift(.update, &entry, filter), entry)
    }

    /// A kernel may not say a mark of 0 of an entry that it is asked for: the event has said it.
    @Test func aMarkThatIsTakenBackIsTold() throws {
        kernel.advance(to: Duration.second)
        var entry = SampleEntries.plain[0]
        entry.mark = 0
        #expect(kernel.table.insert(entry, seconds: 60, .traffic) == 0)
        let shown = try #require(kernel.shown(entry.key))
        #expect(!shown.fields.contains(.mark))
        var event = Entry(entry.key)
        event.reply = shown.reply
        (event.status, event.id) = (shown.status, shown.id)
        event.fields = [.status, .id, .mark]
        for rule in ["ignore mark 2/2", "accept state \(Self.state(shown))"] {
            let (outcome, told) = try sift(event, rule)
            #expect(outcome == .whole)
            #expect(told.fields.contains(.mark) && told.mark == 0)
        }
        event.fields.remove(.mark)
        #expect(try !sift(event, "ignore mark 2/2").1.fields.contains(.mark))
    }

    /// Labels are said once, perhaps while the rules leave the connection out.
    @Test func whatWasSaidWhileItWasLeftOutIsTold() throws {
        kernel.advance(to: Duration.second)
        var entry = SampleEntries.plain[0]
        entry.mark = 1
        entry.protocolInfo.state = TCPState.synSent
        entry.extras.labelsLow = 7
        entry.fields.formUnion([.labels, .protocolInfo, .mark])
        #expect(kernel.table.insert(entry, seconds: 60, .traffic) == 0)
        var event = try #require(kernel.shown(entry.key))
        event.fields.remove(.labels)
        let (outcome, told) = try sift(event, "accept mark 1/1")
        #expect(outcome == .whole)
        #expect(told.fields.contains(.labels) && told.extras.labelsLow == 7)
    }

    /// A walk may have passed a connection when it was left out: then what is said as it comes in is all that
    /// a slave hears of it, which may have another of its key.
    @Test(arguments: [false, true]) func duringAWalkItIsToldWhole(_ isWalking: Bool) throws {
        let master = try ListeningMaster(rules: ["accept mark 1/1"])
        if isWalking {
            master.exchange.requireInitsync()
            #expect(master.exchange.beginInitsync(now: master.now) != nil)
        }
        let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 4_000, 53)) {
            $0.mark = 0
        }
        _ = master.kernel.table.insert(entry, seconds: 60, .traffic)
        #expect(master.drain().messages == 0)
        master.kernel.table.change(entry.key, saying: .mark, .traffic) { $0.mark = 1 }
        #expect(master.drain().messages == 1)
        var kinds: [MessageKind] = []
        var message = Message()
        master.ring.markSent(
            master.ring.withUnsent(maximum: 8, clockMicroseconds: 1) { _, packet in
                var offset = PacketHeader.byteCount
                do throws(WireError) {
                    try MessageReader.read(packet.bytes, at: &offset, into: &message)
                } catch {
                    Issue.record("\(error)")
                }
                kinds.append(message.kind)
            })
        #expect(kinds.count == 1 && message.entry.mark == 1)
        #expect(kinds.first?.has(MessageKind.new) == isWalking)
    }

    private static func state(_ entry: Entry) -> String {
        ReplicationRule.stateNames[Int(entry.protocolInfo.state)]
    }
}
