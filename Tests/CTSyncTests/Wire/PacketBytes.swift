// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// Packets as arrays, for tests.
enum PacketBytes {
    static let checksum = PacketChecksum()
    static let peer = PeerAddress(address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 3_780)

    /// What a writer writes.
    static func written(_ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: Message.maximumByteCount)
        let count = bytes.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            return write(&span)
        }
        return Array(bytes[..<count])
    }

    static func update(_ entry: Entry, bits: UInt8 = 0) -> [UInt8] {
        written { EntryMessage.writeUpdate(entry, bits: bits, &$0, at: 0) }
    }

    static func delete(_ key: Key) -> [UInt8] {
        written { EntryMessage.writeDelete(key, &$0, at: 0) }
    }

    static func update(_ expectation: Expected) -> [UInt8] {
        written { ExpectationMessage.writeUpdate(expectation, bits: 0, &$0, at: 0) }
    }

    static func delete(_ expectation: Expected) -> [UInt8] {
        written { ExpectationMessage.writeDelete(expectation, &$0, at: 0) }
    }

    static func bracket(
        _ type: MessageKind.MessageType, _ number: UInt32, isContinuing: Bool = false
    ) -> [UInt8] {
        written { Bracket(number: number, isContinuing: isContinuing).write(type, &$0, at: 0) }
    }

    /// The end of an initsync of a master that has all, under rules of this fingerprint.
    static func end(_ number: UInt32, rules: UInt32) -> [UInt8] {
        written {
            Bracket(number: number, basis: Basis(epoch: .max, sequence: .max), rules: rules)
                .write(.DELETE, &$0, at: 0)
        }
    }

    /// A header and what follows it, sealed; its length is set here.
    static func sealed(_ header: PacketHeader, _ content: [UInt8] = []) -> [UInt8] {
        var header = header
        var packet = [UInt8](repeating: 0, count: PacketHeader.byteCount) + content
        header.length = UInt16(packet.count)
        packet.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            header.seal(&span, checksum)
        }
        return packet
    }

    /// A SYNC of these messages.
    static func sync(
        _ sequence: UInt64, _ messages: [[UInt8]], from id: UInt8 = 1, epoch: UInt64 = 100,
        oldest: UInt64 = 1, flags: PacketHeader.Flags = []
    ) -> [UInt8] {
        var header = PacketHeader(type: .SYNC, nodeID: id, epoch: epoch, sequence: sequence)
        header.messageCount = UInt16(messages.count)
        header.oldest = oldest
        header.flags = flags
        return sealed(header, messages.flatMap { $0 })
    }

    static func announcement(
        _ sequence: UInt64, from id: UInt8 = 1, epoch: UInt64 = 100, oldest: UInt64 = 1,
        flags: PacketHeader.Flags = []
    ) -> [UInt8] {
        var header = PacketHeader(
            type: .MASTER_ANNOUNCE, nodeID: id, epoch: epoch, sequence: sequence)
        header.oldest = oldest
        header.flags = flags
        return sealed(header, content { Announcement().write(&$0) })
    }

    /// What a writer puts behind a header.
    static func content(_ write: (inout MutableRawSpan) -> Void) -> [UInt8] {
        var bytes = [UInt8](
            repeating: 0, count: PacketHeader.byteCount + Announcement.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            var span = buffer.mutableBytes
            write(&span)
        }
        return Array(bytes[PacketHeader.byteCount...])
    }

    /// A slave's report.
    static func report(_ report: SlaveReport = SlaveReport()) -> [UInt8] {
        content { report.write(&$0, at: PacketHeader.byteCount) }
    }

    /// What follows a report or an announcement.
    static func traits(_ traits: Traits) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Traits.byteCount)
        bytes.withUnsafeMutableBytes { raw in
            var span = raw.mutableBytes
            traits.write(&span, at: 0)
        }
        return bytes
    }

    static func header(of packet: [UInt8]) throws(WireError) -> PacketHeader {
        try PacketHeader.read(packet.span.bytes, checksum)
    }

    /// The messages of a packet without its header.
    static func message(_ bytes: [UInt8]) throws(WireError) -> Message {
        var message = Message()
        var offset = 0
        try MessageReader.read(bytes.span.bytes, at: &offset, into: &message)
        return message
    }
}
