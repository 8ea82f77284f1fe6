// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import ConntrackdImport

/// What is no conntrackd.conf, or nothing to import: one sentence with file, line and word.
@Suite struct RefusalTests {
    private func sentence(_ text: String) -> String? {
        do throws(ImportMistake) {
            _ = try ConntrackdConversion.configuration(from: text, path: "c.conf")
            return nil
        } catch {
            return error.sentence
        }
    }

    @Test(
        arguments: [
            (
                "capitals",
                "c.conf:11: \"Lockfile\" is no clause of General; LockFile is written with these capitals"
            ),
            (
                "unknown",
                "c.conf:3: \"DisableExternalCaches\" is no clause of Mode FTFW; there are "
                    + "ResendQueueSize, CommitTimeout, PurgeTimeout, ACKWindowSize, "
                    + "DisableExternalCache, StartupResync, ResendBufferSize"
            ),
            (
                "quotes",
                "c.conf:5: IPv4_address is a quotation mark, which conntrackd.conf never has, but must "
                    + "be an IPv4 address"
            ),
            ("value", "c.conf:3: StartupResync is \"maybe\" but must be on, off, yes or no"),
            (
                "brace",
                "c.conf:3: \"Multicast\" is no clause of Mode FTFW; there are ResendQueueSize, "
                    + "CommitTimeout, PurgeTimeout, ACKWindowSize, DisableExternalCache, StartupResync, "
                    + "ResendBufferSize"
            ),
            (
                "unclosed",
                "c.conf:8: the file ends within Sync, whose { is in line 1 and has no }"
            ),
            (
                "mixed",
                "c.conf:8: Multicast stands beside UDP, but all links of conntrackd are of one kind"
            ),
            (
                "stats-only",
                "c.conf: there is no Sync section: conntrackd replicates nothing here, so there is "
                    + "nothing to take over; keep conntrackd for statistics and helpers"
            ),
        ]) func aBrokenFileIsRefusedWithASentence(_ name: String, _ wanted: String) throws
    {
        #expect(sentence(try ConntrackdFiles.text("broken/" + name)) == wanted)
    }

    private static let link = "Multicast { Interface eth2 IPv4_address 225.0.0.50 }"

    @Test(
        arguments: [
            ("", "c.conf: there is no Sync section: "),
            ("Sync", "c.conf:1: Sync is followed by the end of the file but must be by {"),
            ("Sync }", "c.conf:1: Sync is followed by \"}\" but must be by {"),
            ("}", "c.conf:1: \"}\" stands where the file must begin a clause"),
            ("Sync { { } }", "c.conf:1: \"{\" stands where Sync must begin a clause"),
            ("Sync { Mode }", "c.conf:1: Mode is \"}\" but must be FTFW, ALARM or NOTRACK"),
            ("Sync { Mode", "c.conf:1: the file ends within Mode"),
            ("Sync {\n}\n", "c.conf:1: Sync has no Multicast, UDP or TCP section, which"),
            ("Sync {\n\(link)\n}\nStats { }", "c.conf:4: Stats and Sync are both given"),
            (
                "Sync {\n Multicast { IPv4_address 225.0.0.50 } }",
                "c.conf:2: Multicast has no Interface, which names the sync device; add one"
            ),
            (
                "Sync { UDP { Interface eth2 } }",
                "c.conf:1: UDP has no IPv4_Destination_Address or IPv6_Destination_Address; add one"
            ),
            (
                "Sync { Multicast { Interface eth2\nIPv4_address 255.0.0.50 } }",
                "c.conf:2: IPv4_address is \"255.0.0.50\" but must be a multicast address"
            ),
            (
                "Sync { UDP { Interface eth2 IPv4_Destination_Address 225.0.0.50 } }",
                "c.conf:1: IPv4_Destination_Address is \"225.0.0.50\" but must be the address of the"
            ),
            (
                "Sync { \(link) \(link) \(link) \(link)\n\(link) }",
                "c.conf:2: this is one more than the 4 links that conntrackd takes"
            ),
            (
                "Sync { Multicast { Interface 1eth",
                "c.conf:1: Interface is \"1eth\" but must be the"
            ),
            (
                "Sync { Multicast { Interface a234567890123456 } }",
                "c.conf:1: Interface is \"a234567890123456\" but must be the name of a network device"
            ),
            (
                "General { HashSize 12k }",
                "c.conf:1: HashSize is \"12k\" but must be a number from 0"
            ),
            ("General { HashSize -1 }", "c.conf:1: HashSize is \"-1\" but must be a number from 0"),
            ("General { HashSize 99999999999 }", "c.conf:1: HashSize is \"99999999999\" but"),
            ("General { Nice 5 }", "c.conf:1: Nice is \"5\" but must be a number with its sign"),
            ("General { PollSecs 0 }", "c.conf:1: PollSecs is \"0\" but must be a number from 1"),
            ("General { LockFile lock }", "c.conf:1: LockFile is \"lock\" but must be an absolute"),
            (
                "General { Scheduler { Type rr Priority 100 } }",
                "c.conf:1: Type is \"rr\" but must be RR, FIFO"
            ),
            (
                "General { Scheduler { Priority 100 } }",
                "c.conf:1: Priority is \"100\" but must be a number from 0 to 99"
            ),
            (
                "General { Filter From Kernel { } }",
                "c.conf:1: From is \"Kernel\" but must be Userspace, Kernelspace"
            ),
            (
                "General { Filter { Protocol Accept { TCP 6 } } }",
                "c.conf:1: Protocol is \"6\" but must be the name of a protocol"
            ),
            (
                "General { Filter { Address Ignore { IPv4_address 10.0.0.0/33 } } }",
                "c.conf:1: IPv4_address is \"10.0.0.0/33\" but must be an IPv4 address or network"
            ),
            (
                "General { Filter { State Accept { OPEN for TCP } } }",
                "c.conf:1: State is \"OPEN\" but must be SYN_SENT, SYN_RECV, ESTABLISHED"
            ),
            (
                "General { Filter { State Accept { ESTABLISHED for UDP } } }",
                "c.conf:1: for is \"UDP\" but must be TCP"
            ),
            (
                "Helper { Type ftp ipv4 tcp { } }",
                "c.conf:1: Type is \"ipv4\" but must be inet, inet6"
            ),
            (
                "Sync { Options { ExpectationSync 1 } }",
                "c.conf:1: ExpectationSync is \"1\" but must"
            ),
            ("\u{1B}[2J", "c.conf:1: \"?[2J\" is no clause of the file"),
        ]) func theFirstWordWithoutAPlaceIsNamed(_ text: String, _ begin: String)
    {
        let sentence = sentence(text)
        #expect(sentence?.hasPrefix(begin) == true, "\(sentence ?? "taken")")
    }

    /// No beginning of a file is more than a sentence, and none stops the program.
    @Test func aFileCutAnywhereIsRefusedOrTaken() throws {
        let text = try ConntrackdFiles.text("vyos-multicast")
        for count in 0..<text.utf8.count {
            let part = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            if let sentence = sentence(part) {
                #expect(sentence.hasPrefix("c.conf"))
                #expect(!sentence.contains("\n"))
            }
        }
    }
}
