// SPDX-License-Identifier: GPL-2.0-or-later

import FuzzSupport

@testable import CTSync

/// Datagrams of ctnetlink: read, and what was read goes the way of an event: onto the wire and from
/// there, and into a request. Each time it must come out as it went in.
@main enum CtnetlinkFuzzer {
    static func main() { fuzz { take($0, $1) } }
}

private func take(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let datagram = input.rest()
    let bytes = datagram.span.bytes
    var entry = Entry(Key(.none))
    var expectation = Expectation(Key(.none))
    var offset = 0
    while offset < bytes.byteCount {
        let message = bytes.extracting(offset..<bytes.byteCount)
        do throws(NetlinkError) {
            switch try EntryCodec.read(message, into: &entry) {
            case .new, .update, .destroy: check(entry)
            case .expectNew, .expectDestroy:
                try ExpectationCodec.read(message, into: &expectation)
                check(expectation)
            case .error, .done: _ = try bytes.errorNumber(at: offset)
            case .other: break
            }
        } catch {}
        guard let next = bytes.nextMessage(after: offset), next > offset else { break }
        offset = next
    }
    return 0
}

nonisolated(unsafe) private let memory = UnsafeMutableRawBufferPointer.allocate(
    byteCount: 2_048, alignment: 8)

private func check(_ read: Entry) {
    var entry = read
    entry.prepareForReplication()
    let byteCount = EntryMessage.byteCount(entry)
    precondition(byteCount <= EntryMessage.maximumByteCount)
    let message = onTheWire(byteCount) { EntryMessage.writeUpdate(entry, bits: 0, &$0, at: 0) }
    let deleted = onTheWire(KeyPart.byteCount(entry.key)) {
        EntryMessage.writeDelete(entry.key, &$0, at: 0)
    }
    precondition(deleted.entry.key == wireKey(entry.key))
    // What is not on the wire: the upper bits of the status, parts that were not said, and a protocol
    // of the reply tuple that is not the original's, which no kernel tells.
    let back = message.entry
    var reply = entry.reply
    reply.protocolNumber = entry.key.tuple.protocolNumber
    precondition(back.key == wireKey(entry.key))
    precondition(back.reply == reply || entry.reply == entry.key.tuple.inverse)
    precondition(back.fields == entry.fields)
    precondition(!entry.fields.contains(.timeout) || back.timeoutSeconds == entry.timeoutSeconds)
    precondition(!entry.fields.contains(.parent) || back.extras.parent == entry.extras.parent)
    var writer = makeWriter()
    writer.beginMessage(
        NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_NEW, flags: 0, sequence: 1,
        family: entry.key.tuple.family.rawValue)
    _ = EntryCodec.writeCreation(
        entry, timeoutSeconds: entry.timeoutSeconds, status: entry.status, to: &writer)
    writer.endMessage()
    precondition(writer.count <= EntryCodec.maximumByteCount)
    var again = Entry(Key(.none))
    do throws(NetlinkError) {
        let kind = try EntryCodec.read(written(writer).span.bytes, into: &again)
        precondition(kind == .update)
    } catch {
        fatalError("a request that cannot be read")
    }
    precondition(again.key.tuple == entry.key.tuple && again.extras.parent == parent(entry))
}

private func check(_ expectation: Expectation) {
    let byteCount = ExpectationMessage.byteCount(expectation)
    precondition(byteCount <= ExpectationMessage.maximumByteCount)
    let message = onTheWire(byteCount) {
        ExpectationMessage.writeUpdate(expectation, bits: 0, &$0, at: 0)
    }
    _ = onTheWire(ExpectationMessage.deleteByteCount(expectation)) {
        ExpectationMessage.writeDelete(expectation, &$0, at: 0)
    }
    precondition(message.expectation.key.tuple == expectation.key.tuple)
    precondition(message.expectation.parent == expectation.parent)
    precondition(message.expectation.flags == expectation.flags)
    var writer = makeWriter()
    writer.beginMessage(
        NFNL_SUBSYS_CTNETLINK_EXP, type: IPCTNL_MSG_EXP_NEW, flags: 0, sequence: 1,
        family: expectation.key.tuple.family.rawValue)
    _ = ExpectationCodec.writeCreation(expectation, to: &writer)
    writer.endMessage()
    precondition(writer.count <= ExpectationCodec.maximumByteCount)
    var again = Expectation(Key(.none))
    do throws(NetlinkError) {
        try ExpectationCodec.read(written(writer).span.bytes, into: &again)
    } catch {
        fatalError("a request that cannot be read")
    }
    precondition(again.key == expectation.key && again.helper == expectation.helper)
}

private func makeWriter() -> NetlinkWriter {
    guard let base = memory.baseAddress else { fatalError("no memory") }
    return NetlinkWriter(base, capacity: memory.count)
}

private func written(_ writer: NetlinkWriter) -> [UInt8] { Array(memory[..<writer.count]) }

/// A zone of 0 has no direction.
private func wireKey(_ key: Key) -> Key { key.zone == 0 ? Key(key.tuple) : key }

private func parent(_ entry: Entry) -> Tuple {
    entry.fields.contains(.parent) ? entry.extras.parent : .none
}

/// Writes a message into just as many bytes as it should take, and reads it.
private func onTheWire(
    _ byteCount: Int, _ write: (inout MutableRawSpan) -> Int
) -> Message {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let written = bytes.withUnsafeMutableBytes { raw in
        var span = raw.mutableBytes
        return write(&span)
    }
    precondition(written == byteCount)
    var message = Message()
    var offset = 0
    do throws(WireError) {
        try MessageReader.read(bytes.span.bytes, at: &offset, into: &message)
    } catch {
        fatalError("a message that cannot be read")
    }
    precondition(offset == byteCount)
    return message
}
