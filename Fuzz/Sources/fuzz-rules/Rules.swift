// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// Filter rules, a line each: read, made into a filter and into the kernel's program, asked about
/// entries of several kinds.
@main enum RuleFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    guard let text = input.text() else { return 0 }
    var rules: [ReplicationRule] = []
    for line in text.split(separator: "\n").prefix(ReplicationFilter.ruleLimit) {
        do throws(RuleMistake) {
            rules.append(try ReplicationRule(text: String(line)))
        } catch {
            precondition(!error.sentence.isEmpty, "a sentence for a person")
        }
        let words = line.split(separator: " ").map { String($0) }
        _ = try? ReplicationRule(criteria: words)
    }
    let filter = ReplicationFilter(
        ownAddresses: [Address(ipv4: 0x0A00_0001)],
        syncNetworks: [.init(address: Address(ipv4: 1), prefixLength: 8, family: .ipv4)],
        rules: rules)
    for entry in entries {
        let verdict = filter.verdict(entry)
        // What is told of a whole entry is not contradicted by what may be said of its key.
        if verdict == .always { precondition(filter.mayAdmit(entry)) }
        _ = filter.admits(entry)
        _ = filter.adopts(entry)
        _ = filter.mayHaveAdmitted(entry)
        _ = filter.rulesMayAccept(entry.key)
    }
    if let program = SocketFilter(rules) { precondition(!program.program.isEmpty) }
    return 0
}

private let entries: [Entry] = [Family.ipv4, .ipv6].flatMap { family in
    [ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.icmp].map { number in
        let low: UInt64 = 0x0A01_0002
        var entry = Entry(
            Key(
                Tuple(
                    family: family, protocolNumber: number, source: Address(high: 0, low: low),
                    destination: Address(high: 0, low: 0xC0A8_0101), sourcePort: 40_000,
                    destinationPort: 443),
                zone: number == ProtocolNumber.udp ? 7 : 0))
        entry.status = number == ProtocolNumber.tcp ? [.IPS_ASSURED] : []
        entry.mark = UInt32(number)
        entry.timeoutSeconds = 60
        entry.protocolInfo.state = TCPState.established
        entry.fields = [.status, .timeout, .mark, .protocolInfo]
        return entry
    }
}
