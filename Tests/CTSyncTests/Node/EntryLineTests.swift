// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct EntryLineTests {
    @Test func anEntryIsWrittenInTheTermsOfTheField() {
        var entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 1_000, 21)) {
            $0.key.zone = 5
            $0.extras.helper.low = 0x70_7466
            $0.fields.insert(.helper)
        }
        entry.reply.destination = Address(ipv4: 0xC633_6401)
        entry.status.insert(.IPS_SRC_NAT)
        let replica = DumpedReplica(entry: entry, ageSeconds: 7, origin: .live)
        var buffer = TextBuffer()
        EntryLine.append(replica, to: &buffer)
        let text = buffer.string
        #expect(
            text == """
                family=ipv4 protocol=tcp src=10.0.0.1 dst=192.0.2.1 sport=1000 dport=21 \
                reply_src=192.0.2.1 reply_dst=198.51.100.1 reply_sport=21 reply_dport=1000 \
                state=ESTABLISHED status=SEEN_REPLY,ASSURED,SRC_NAT timeout=600 mark=1000 zone=5 \
                helper=ftp age=7 origin=live
                """)
        #expect(
            EntryLine.json(text) == """
                {"family":"ipv4","protocol":"tcp","src":"10.0.0.1","dst":"192.0.2.1",\
                "sport":1000,"dport":21,"reply_src":"192.0.2.1","reply_dst":"198.51.100.1",\
                "reply_sport":21,"reply_dport":1000,"state":"ESTABLISHED",\
                "status":["SEEN_REPLY","ASSURED","SRC_NAT"],"timeout":600,"mark":1000,"zone":5,\
                "helper":"ftp","age":7,"origin":"live"}
                """)
    }

    @Test func everyKindOfEntryIsWordsWithoutBlanks() {
        var kinds: Set<String> = []
        for entry in SampleEntries.plain + SampleEntries.translated {
            for word in EntryLine.text(entry).split(separator: " ") {
                let parts = word.split(separator: "=", omittingEmptySubsequences: false)
                #expect(parts.count == 2 && !parts[1].isEmpty, "\(word)")
                kinds.insert(String(parts[0]))
            }
        }
        #expect(
            kinds.isSuperset(of: [
                "type", "code", "id", "srckey", "dstkey", "zone", "original_zone", "reply_zone",
                "labels", "state",
            ]))
        // A helper's name comes over the wire.
        var hostile = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 1, 2), [])
        hostile.extras.helper.low = 0x0A_2022_1B41
        hostile.fields.insert(.helper)
        #expect(EntryLine.text(hostile).hasSuffix(" status=- timeout=600 mark=1 helper=A????"))
        #expect(EntryLine.json("status=- a=\"\\").hasPrefix("{\"status\":[],\"a\":\"\\\"\\\\\""))
        #expect(EntryLine.json("a=\u{1B}é").hasPrefix("{\"a\":\"\\u001bé\""))
    }
}
