// SPDX-License-Identifier: GPL-2.0-or-later

// Pieces of the data path, one after the other, for callgrind to count the instructions of:
// `make bench-instructions`. Its argument is the corpus of a kernel's messages.

@testable import CTSync
import LibraryReader

/// A TCP connection of the load; its number tells it from the others.
func connection(_ number: Int, state: UInt8) -> Entry {
    var entry = Entry(
        Key(
            Tuple(
                family: .ipv4, protocolNumber: ProtocolNumber.tcp,
                source: Address(ipv4: 0x0A01_0002), destination: Address(ipv4: 0x0A02_0002),
                sourcePort: UInt16(1_024 + number), destinationPort: 443)))
    entry.fields = [.status, .timeout, .protocolInfo]
    entry.status = state == TCPState.established ? [.IPS_SEEN_REPLY, .IPS_ASSURED] : []
    entry.timeoutSeconds = 600
    entry.protocolInfo.state = state
    entry.protocolInfo.originalFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
    entry.protocolInfo.replyFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
    entry.protocolInfo.windowScales = 0x77
    entry.prepareForReplication()
    return entry
}

/// Takes every request, refuses none.
final class WillingKernel: KernelRequests, EntryLookup {
    private(set) var requests = 0

    private func take() -> Bool {
        requests += 1
        return true
    }

    func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool { take() }
    func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool { take() }
    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        take()
    }
    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool { take() }
    func delete(_ key: borrowing Key, tag: UInt32) -> Bool { take() }
    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool { take() }
    func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool { take() }
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool { take() }
    func delete(expectation key: borrowing Key, tag: UInt32) -> Bool { take() }
    func entry(_ key: borrowing Key) -> Entry? { nil }
    func send(_ failure: (UInt32, CInt) -> Void) throws(SystemError) -> BatchOutcome {
        BatchOutcome()
    }
}

let corpus = try Corpus(file: CommandLine.arguments[1])
let filter = ReplicationFilter(
    ownAddresses: [Address(ipv4: 1), Address(ipv4: 9)], syncNetworks: [],
    rules: [
        try ReplicationRule(text: "ignore protocol icmp"),
        try ReplicationRule(text: "ignore source 10.9.0.0/16"),
        try ReplicationRule(text: "accept destination 10.0.0.0/8"),
    ])
let entries = (0..<10).map { connection($0, state: TCPState.established) }

var event = Entry(Key(.none))
var failures = 0
count("event-read", items: corpus.messages.count) {
    for message in corpus.messages {
        do throws(NetlinkError) {
            _ = try EntryCodec.read(message.span.bytes, into: &event)
        } catch {
            failures += 1
        }
    }
}

var admitted = 0
count("filter", items: entries.count) {
    for entry in entries where filter.admits(entry) { admitted += 1 }
}

let ring = try SendRing(slotCount: 256, slotByteCount: 1_472, wake: nil)
ring.reset(epoch: 1, nodeID: 1)
var sent = 0
count("ring-append", items: entries.count) {
    for entry in entries { _ = ring.appendUpdate(entry, bits: 0) }
    ring.flush()
    ring.markSent(1)
}
ring.reset(epoch: 1, nodeID: 1)
count("ring-send", items: entries.count) {
    for entry in entries { _ = ring.appendUpdate(entry, bits: 0) }
    ring.flush()
    ring.markSent(ring.withUnsent(maximum: 64, clockMicroseconds: 1) { sent += $1.count + $0 })
}

// Ten connections are made, established and ended, a packet each.
ring.reset(epoch: 100, nodeID: 1)
var packets: [[UInt8]] = []
for round in 0..<6 {
    for number in 0..<10 {
        let place = round / 3 * 10 + number
        switch round % 3 {
        case 0:
            _ = ring.appendUpdate(
                connection(place, state: TCPState.synRecv), bits: MessageKind.new)
        case 1: _ = ring.appendUpdate(connection(place, state: TCPState.established), bits: 0)
        default: _ = ring.appendDelete(connection(place, state: TCPState.synRecv).key)
        }
    }
    ring.flush()
    ring.markSent(
        ring.withUnsent(maximum: 1, clockMicroseconds: 1) { packets.append(Array($1)) })
}

var message = Message()
count("message-read", items: 10) {
    let packet = packets[1]
    var offset = PacketHeader.byteCount
    do throws(WireError) {
        while offset < packet.count {
            try MessageReader.read(packet.span.bytes, at: &offset, into: &message)
        }
    } catch {
        failures += 1
    }
}

let kernel = WillingKernel()
let table = try ReplicaTable(capacity: 1_024, seed: 5)
let injector = try Injector(kernel, kernel)
let slave = try SlaveProtocol(
    nodeID: 2, table: table, filter: filter, ringSlots: 64, slotByteCount: 1_472)
let peer = PeerAddress(address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 3_781)
var next = 0
count("slave-packet", items: 10) {
    let packet = packets[next]
    _ = slave.receive(packet.span.bytes, from: peer, now: 1, wallMicroseconds: 1)
    do throws(SystemError) {
        try injector.apply(table, now: 1)
    } catch {
        failures += 1
    }
    next += 1
}

let second = try ReplicaTable(capacity: 1_024, seed: 5)
var states = [TCPState.synRecv, TCPState.established]
count("table-update", items: entries.count) {
    for entry in entries {
        var entry = entry
        entry.protocolInfo.state = states[0]
        _ = second.update(entry, isNew: false, isCopy: false, now: 1)
    }
    states.swapAt(0, 1)
}

let batch = try RequestBatch()
count("request-write", items: entries.count) {
    for entry in entries where !batch.create(entry, timeoutSeconds: 600, tag: 1) { failures += 1 }
}

if let key = SealKey([UInt8](repeating: 7, count: SealKey.byteCount)) {
    let keys = try SealKeyRing([key], cluster: "")
    let sealer = try Sealer(SealSession(nodeID: 1, salt: 5, keys: keys))
    let opener = try SealOpener(keys)
    let datagram = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_472, alignment: 64)
    datagram.initializeMemory(as: UInt8.self, repeating: 0)
    count("seal-packet", items: 1) { sealer.seal(datagram) }
    count("seal-and-open-packet", items: 1) {
        sealer.seal(datagram)
        do {
            let envelope = try SealEnvelope.read(datagram.bytes)
            try opener.open(datagram, envelope, isProven: true)
        } catch {
            failures += 1
        }
    }

    let plain = try WholePath(corpus, filter, nil)
    count("connection", items: WholePath.connections) { plain.run() }
    let sealed = try WholePath(corpus, filter, (sealer, opener))
    count("connection-sealed", items: WholePath.connections) { sealed.run() }
    failures += plain.failures + sealed.failures
    precondition(plain.requests > 0 && plain.requests == sealed.requests)
}

// A piece that does nothing costs little.
precondition(failures == 0, "\(failures) failures")
precondition(admitted > 0 && sent > 0 && kernel.requests == 3 * 10 * 2)
