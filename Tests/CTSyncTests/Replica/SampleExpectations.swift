// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Ours; the testing library has one of the same name.
typealias Expected = Expectation

/// Expectations as helpers make them.
enum SampleExpectations {
    static func helper(_ text: String) -> HelperName {
        Array(text.utf8).withUnsafeBytes { HelperName($0.bytes) } ?? HelperName()
    }

    static func function(_ text: String) -> ExpectFunctionName {
        Array(text.utf8).withUnsafeBytes { ExpectFunctionName($0.bytes) } ?? ExpectFunctionName()
    }

    /// A connection with a helper: TCP for ftp, else UDP.
    static func control(
        _ name: String, _ port: UInt16, family: Family = .ipv4, zone: UInt16 = 0
    ) -> Entry {
        let number = name == "ftp" ? ProtocolNumber.tcp : ProtocolNumber.udp
        return SampleEntries.entry(SampleEntries.tuple(number, port, 21, family: family)) {
            $0.key.zone = zone
            $0.extras.helper = helper(name)
            $0.fields.insert(.helper)
        }
    }

    /// IPv6, in a zone, translated, with the longest names.
    static var largest: Expectation {
        var parent = control("sip", 4000, family: .ipv6, zone: 7)
        parent.extras.helper = helper("fifteen-letters")
        return expectation(of: parent, port: 3001) {
            $0.isTranslated = true
            $0.translationDirection = 1
            $0.translation = parent.key.tuple
            $0.function = function("thirty-letters-name-of-functio")
        }
    }

    /// Its server will connect to its client at this port.
    static func expectation(
        of control: Entry, port: UInt16, _ change: (inout Expectation) -> Void = { _ in }
    ) -> Expectation {
        var tuple = control.key.tuple.inverse
        tuple.sourcePort = 0
        tuple.destinationPort = port
        var expectation = Expectation(Key(tuple, zone: control.key.zone))
        let full: Address =
            tuple.family == .ipv4 ? Address(ipv4: .max) : Address(high: .max, low: .max)
        expectation.mask = Tuple(
            family: tuple.family, protocolNumber: tuple.protocolNumber, source: full,
            destination: full, sourcePort: 0, destinationPort: .max)
        expectation.parent = control.key.tuple
        expectation.timeoutSeconds = 250
        expectation.helper = control.extras.helper
        change(&expectation)
        return expectation
    }
}
