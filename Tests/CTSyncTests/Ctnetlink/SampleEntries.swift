// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Entries of every kind that the kernel tracks.
enum SampleEntries {
    static let v4 = (Address(ipv4: 0x0A00_0001), Address(ipv4: 0xC000_0201))
    static let v6 = (
        Address(high: 0xFD00_0000_0000_0001, low: 1), Address(high: 0x2001_0DB8_0000_0000, low: 2)
    )

    static func tuple(
        _ number: UInt8, _ sourcePort: UInt16, _ destinationPort: UInt16,
        family: Family = .ipv4
    ) -> Tuple {
        let (source, destination) = family == .ipv4 ? v4 : v6
        return Tuple(
            family: family, protocolNumber: number, source: source, destination: destination,
            sourcePort: sourcePort, destinationPort: destinationPort)
    }

    static func entry(
        _ tuple: Tuple, _ status: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED],
        _ change: (inout Entry) -> Void = { _ in }
    ) -> Entry {
        var entry = Entry(Key(tuple))
        entry.status = status
        entry.timeoutSeconds = 600
        entry.mark = UInt32(tuple.sourcePort)
        entry.fields = [.status, .timeout, .mark]
        if tuple.protocolNumber == ProtocolNumber.tcp {
            entry.protocolInfo.state = TCPState.established
            entry.protocolInfo.originalFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
            entry.protocolInfo.replyFlags = TCPFlag.windowScale
            entry.protocolInfo.windowScales = 0x7A
            entry.fields.insert(.protocolInfo)
        }
        if tuple.protocolNumber == ProtocolNumber.sctp {
            entry.protocolInfo.state = 4
            entry.protocolInfo.originalTag = 0x0102_0304
            entry.protocolInfo.replyTag = 0xA0B0_C0D0
            entry.fields.insert(.protocolInfo)
        }
        change(&entry)
        return entry
    }

    /// Every protocol in both families, every TCP state, zones, labels, helper.
    static var plain: [Entry] {
        var entries: [Entry] = []
        for family in [Family.ipv4, .ipv6] {
            for state in UInt8(1)...9 {
                entries.append(
                    entry(tuple(ProtocolNumber.tcp, 1000 + UInt16(state), 80, family: family)) {
                        $0.protocolInfo.state = state
                    })
            }
            entries.append(entry(tuple(ProtocolNumber.udp, 53, 53, family: family), []))
            entries.append(entry(tuple(ProtocolNumber.sctp, 7, 8, family: family)))
            entries.append(entry(tuple(ProtocolNumber.gre, 11, 12, family: family)))
            entries.append(entry(tuple(89, 0, 0, family: family)))
            for (direction, zone) in [(ZoneDirection.both, 5), (.original, 6), (.reply, 7)] {
                let port = UInt16(2000 + zone)
                entries.append(
                    entry(tuple(ProtocolNumber.udp, port, 53, family: family)) {
                        $0.key.zone = UInt16(zone)
                        $0.key.zoneDirection = direction
                    })
            }
            entries.append(
                entry(tuple(ProtocolNumber.tcp, 3001, 21, family: family)) {
                    $0.extras.helper.low = 0x70_7466  // "ftp"
                    $0.fields.insert(.helper)
                })
            entries.append(
                entry(tuple(ProtocolNumber.udp, 3002, 53, family: family)) {
                    $0.extras.labelsLow = 0x8000_0000_0000_0003
                    $0.extras.labelsHigh = 0x8000_0000_0000_0001
                    $0.fields.insert(.labels)
                })
            entries.append(
                entry(tuple(ProtocolNumber.tcp, 3003, 80, family: family)) {
                    $0.extras.originalAdjustment.correctionPosition = 1
                    $0.extras.originalAdjustment.offsetBefore = 2
                    $0.extras.originalAdjustment.offsetAfter = 0xFFFF_FFFD
                    $0.extras.replyAdjustment.offsetAfter = 4
                    $0.fields.insert(.sequenceAdjustment)
                })
            entries.append(
                entry(tuple(ProtocolNumber.tcp, 3004, 80, family: family)) {
                    $0.extras.synproxyISN = 1
                    $0.extras.synproxyITS = 0x8000_0002
                    $0.extras.synproxyTSOffset = 3
                    $0.fields.insert(.synproxy)
                })
        }
        entries.append(entry(tuple(ProtocolNumber.icmp, 77, 8 << 8)))
        entries.append(entry(tuple(ProtocolNumber.icmp, 78, 13 << 8)))
        entries.append(entry(tuple(ProtocolNumber.icmpv6, 77, 128 << 8, family: .ipv6)))
        return entries
    }

    /// With everything that has an attribute, each as long as it can be.
    static var largest: Entry {
        let parent = Tuple(
            family: .ipv6, protocolNumber: ProtocolNumber.udp,
            source: Address(high: 0x2001_0DB8_0000_0001, low: 2),
            destination: Address(high: 0x2001_0DB8_0000_0003, low: 4), sourcePort: 5,
            destinationPort: 6)
        var tuple = parent
        tuple.protocolNumber = ProtocolNumber.sctp
        var entry = Entry(Key(tuple, zone: 3))
        entry.status = Status(rawValue: 0xFFFF)
        entry.timeoutSeconds = 1
        entry.mark = 2
        entry.protocolInfo.state = 4
        entry.protocolInfo.originalTag = 0x0A0B_0C0D
        entry.protocolInfo.replyTag = 0x0102_0304
        entry.reply.destinationPort = 77
        entry.extras.parent = parent
        entry.extras.helper.low = 0x6867_6665_6463_6261  // "abcdefgh"
        entry.extras.helper.high = 0x006F_6E6D_6C6B_6A69  // "ijklmno"
        entry.extras.labelsLow = 0x0807_0605_0403_0201
        entry.extras.labelsHigh = 0x100F_0E0D_0C0B_0A09
        entry.extras.originalAdjustment.correctionPosition = 1
        entry.extras.originalAdjustment.offsetBefore = 2
        entry.extras.originalAdjustment.offsetAfter = 3
        entry.extras.replyAdjustment.correctionPosition = 4
        entry.extras.replyAdjustment.offsetBefore = 5
        entry.extras.replyAdjustment.offsetAfter = 6
        entry.extras.synproxyISN = 7
        entry.extras.synproxyITS = 8
        entry.extras.synproxyTSOffset = 9
        entry.fields = [
            .status, .timeout, .mark, .protocolInfo, .parent, .helper, .labels,
            .sequenceAdjustment, .synproxy,
        ]
        return entry
    }

    /// Source, destination and both translated, with and without the ports.
    static var translated: [Entry] {
        var entries: [Entry] = []
        for family in [Family.ipv4, .ipv6] {
            let isIPv4 = family == .ipv4
            let source = isIPv4 ? Address(ipv4: 0xC633_6401) : Address(high: 1 << 61, low: 9)
            let target = isIPv4 ? Address(ipv4: 0x0A09_0909) : Address(high: 1 << 61, low: 8)
            let icmp = family == .ipv4 ? ProtocolNumber.icmp : ProtocolNumber.icmpv6
            let echo: UInt16 = family == .ipv4 ? 8 << 8 : 128 << 8
            let numbers = [
                ProtocolNumber.tcp, ProtocolNumber.udp, ProtocolNumber.sctp, icmp,
                ProtocolNumber.gre, 89,
            ]
            for number in numbers {
                for kind in UInt16(1)...4 {
                    let hasPorts = number != 89
                    let port: UInt16 = hasPorts ? 4000 + kind : 0
                    let destination = number == icmp ? echo : hasPorts ? 4100 : 0
                    var original = tuple(number, port, destination, family: family)
                    if !hasPorts { original.source.low += UInt64(kind) }
                    entries.append(
                        entry(original) {
                            var other = original
                            if kind & 1 != 0 { other.source = source }
                            if kind & 2 != 0 { other.destination = target }
                            if kind == 4 { other.source = source }
                            if kind >= 3, hasPorts { other.sourcePort += 1000 }
                            if kind == 3, hasPorts, number != icmp { other.destinationPort = 4200 }
                            if !hasPorts { other.source.low += UInt64(kind) }
                            $0.reply = other.inverse
                        })
                }
            }
        }
        return entries
    }
}
