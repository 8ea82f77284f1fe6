// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct CapabilitiesTests {
    @Test(
        arguments: [
            ("0000000000003000", nil), ("000001ffffffffff", nil),
            ("0000000000001000", "CAP_NET_RAW"), ("0000000000002000", "CAP_NET_ADMIN"),
            ("0000000000000000", "CAP_NET_ADMIN and CAP_NET_RAW"),
        ]) func whatIsLackingIsNamed(_ set: String, _ lacking: String?)
    {
        let status = "Name:\tct_sync\nCapPrm:\t000001ffffffffff\nCapEff:\t\(set)\nCapBnd:\t0\n"
        var error: ConfigurationError?
        do throws(ConfigurationError) {
            try Capabilities(status: status).check()
        } catch let refusal {
            error = refusal
        }
        #expect(
            error?.sentence
                == lacking.map {
                    "ct_sync needs CAP_NET_ADMIN and CAP_NET_RAW and lacks \($0); start it as "
                        + "root, or give it these"
                })
        #expect(error == nil || error?.exitStatus == 77)
    }

    @Test func aCommandNeedsOneOnly() throws {
        try Capabilities(status: "CapEff:\t0000000000001000\n").check(of: "ct_sync flows")
        let error = #expect(throws: ConfigurationError.self) {
            try Capabilities(status: "CapEff:\t0000000000002000\n").check(of: "ct_sync flows")
        }
        #expect(
            error?.sentence
                == "ct_sync flows needs CAP_NET_ADMIN; start it as root, or give it that")
        #expect(error?.exitStatus == 77)
    }

    @Test func aStatusWithoutTheLineGrantsNothing() {
        #expect(Capabilities(status: "").effective == 0)
        #expect(Capabilities(status: "CapEff:\tzz\n").effective == 0)
    }
}
