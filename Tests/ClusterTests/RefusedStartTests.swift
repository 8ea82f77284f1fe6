// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// A daemon that does not start says why in one sentence, and by its exit status whether it is
    /// worth another try.
    @Suite struct RefusedStartTests {
        /// The arguments cannot be read then: not even --version may start a daemon.
        @Test func withoutProcNothingStarts() throws {
            let binary = try Daemon.binary()
            for words in [["--version"], ["status"], ["--syncdev", "sync0"], []] {
                let hide = "mount -t tmpfs none /proc && exec \"$@\""
                let result = try Command.result(
                    of: ["unshare", "--mount", "sh", "-c", hide, "sh", binary] + words, deadline: 5)
                #expect(result.status == 75, "\(words): \(result)")
                #expect(
                    result.errors
                        == "ct_sync: the arguments cannot be read, as /proc is not mounted; mount "
                        + "it first\n")
                #expect(result.output.isEmpty)
            }
        }

        @Test(
            arguments: [
                ("-net_raw", "lacks CAP_NET_RAW;"), ("-net_admin", "lacks CAP_NET_ADMIN;"),
                ("-all", "lacks CAP_NET_ADMIN and CAP_NET_RAW;"),
            ]) func withoutItsCapabilitiesItDoesNotStart(_ dropped: String, _ names: String)
            throws
        {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let daemon = [try Daemon.binary()] + node.flags(role: .slave)
                let words = ["setpriv", "--bounding-set=\(dropped)", "--"] + daemon
                let result = try Command.result(of: node.host.words(words), deadline: 5)
                #expect(result.status == 77, "\(result)")
                #expect(result.errors.split(separator: "\n").count == 1)
                #expect(result.errors.contains(names), "\(result.errors)")
                #expect(!FileManager.default.fileExists(atPath: node.controlFile))
                // A mistake is said first.
                let wrong = try Command.result(of: node.host.words(words + ["--id", "x"]))
                #expect(wrong.status == 64, "\(wrong)")
            }
        }

        @Test func aLowPortNeedsACapabilityOfItsOwn() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let words =
                    ["setpriv", "--bounding-set=-net_bind_service", "--", try Daemon.binary()]
                    + node.flags(role: .slave) + ["--port", "399"]
                let result = try Command.result(of: node.host.words(words), deadline: 5)
                #expect(result.status == 77, "\(result)")
                #expect(
                    result.errors.hasSuffix(
                        "bind to port 399: Permission denied; it needs CAP_NET_BIND_SERVICE\n"))
            }
        }

        @Test func whatAnotherDaemonHasMayBeFreeLater() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let link = ["--peer", Plan.sync(2)]
                try node.start(role: .slave, link)
                let second = [try Daemon.binary()] + node.flags(role: .slave) + link
                let file = try Command.result(of: node.host.words(second), deadline: 5)
                #expect(file.status == 75, "\(file)")
                #expect(file.errors.contains("has the control file"), "\(file.errors)")
                let other = ["--control-file", cluster.directory + "/other/state"]
                let port = try Command.result(of: node.host.words(second + other), deadline: 5)
                #expect(port.status == 75, "\(port)")
                #expect(port.errors.contains("ct_sync cannot start: "), "\(port.errors)")
                #expect(port.errors.contains("Address already in use"), "\(port.errors)")
            }
        }

        @Test func forTheJournalTheSentenceHasItsPriority() throws {
            let words = ["env", "JOURNAL_STREAM=8:1", try Daemon.binary(), "--syncdev", "no/name"]
            let result = try Command.result(of: words, deadline: 5)
            #expect(result.status == 64)
            #expect(result.errors.hasPrefix("<3>--syncdev is \"no/name\" but"), "\(result.errors)")
            let late = try Command.result(of: words.dropLast() + ["absent0"], deadline: 5)
            #expect(late.status == 75)
            #expect(late.errors.split(separator: "\n").last?.hasPrefix("<3>syncdev \"abs") == true)
        }

        @Test func aSettingThatTheFileLacksIsMissedThere() throws {
            try withCluster { cluster in
                let file = cluster.directory + "/ct_sync.conf"
                try "#options ct_sync syncdev=eth2\n".write(
                    toFile: file, atomically: true, encoding: .utf8)
                let result = try Command.result(
                    of: [try Daemon.binary(), "--config", file], deadline: 5)
                #expect(result.status == 78, "\(result)")
                #expect(
                    result.errors
                        == "ct_sync: \(file): syncdev is not given; name the device of the sync "
                        + "link with a line \"options ct_sync syncdev=DEVICE\" there\n")
            }
        }

        /// Log and status say which, and of what it is made.
        @Test func aNodeWithoutAnIDHasOneOfItsMachineID() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let words = ["--syncdev", "sync0", "--control-file", node.controlFile]
                try node.start(words: words, role: .slave)
                let status = try #require(try node.status()).text
                let pattern = #/"node_id": ([0-9]+),\s*"node_id_from": "([a-z ]+)"/#
                let found = try #require(status.firstMatch(of: pattern), "\(status)")
                let machine = try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)
                if machine?.count == 33 {
                    #expect(found.1 != "0" && found.2 == "machine id")
                    let sentence = "no id is given: this is node \(found.1), by its machine id"
                    #expect(node.log.contains(sentence), "\(node.log)")
                } else {
                    #expect(found.1 == "0" && found.2 == "default")
                    #expect(node.log.contains("no id is given, and /etc/machine-id has none"))
                }
                try node.stop()
                try node.start(words: words + ["--id", "3"], role: .slave)
                #expect(try node.status()?.text.contains("\"node_id_from\": \"setting\"") == true)
            }
        }
    }
}
