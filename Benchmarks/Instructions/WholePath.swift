// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync
import LibraryReader

/// All that is done in the two daemons, without their system calls, for connections that are made,
/// established and ended, from the master's events to the slave's requests, ten events a packet: what 3,000
/// connections a second are. With a seal or without one.
final class WholePath {
    static let connections = 10
    private(set) var failures = 0
    private let kernel = WillingKernel()
    private let events: [[UInt8]]
    private let filter: ReplicationFilter
    private let ring: SendRing
    private let table: ReplicaTable
    private let slave: SlaveProtocol
    private let injector: Injector
    private let seal: (Sealer, SealOpener)?
    private let peer = PeerAddress(
        address: Address(ipv4: 0xA9FE_0001), family: .ipv4, port: 3_781)
    private var event = Entry(Key(.none))
    private var admitted = 0

    init(_ corpus: Corpus, _ filter: ReplicationFilter, _ seal: (Sealer, SealOpener)?) throws {
        events = Array(corpus.messages.prefix(Self.connections))
        self.filter = filter
        self.seal = seal
        let checksum = seal == nil ? PacketChecksum() : nil
        ring = try SendRing(slotCount: 256, slotByteCount: 1_472, wake: nil)
        ring.reset(epoch: 100, nodeID: 1)
        table = try ReplicaTable(capacity: 1_024, seed: 5)
        slave = try SlaveProtocol(
            nodeID: 2, table: table, filter: filter, ringSlots: 64, slotByteCount: 1_472,
            checksum: checksum)
        injector = try Injector(kernel, kernel)
    }

    /// Requests that the slave's kernel was asked for.
    var requests: Int { kernel.requests }

    /// Makes, establishes and ends the connections.
    func run() {
        for round in 0..<3 {
            for message in events { read(message) }
            for number in 0..<Self.connections { append(number, round) }
            ring.flush()
            ring.markSent(
                ring.withUnsent(maximum: 1, clockMicroseconds: 1, sealer: seal?.0) {
                    receive($1)
                })
        }
    }

    private func read(_ message: [UInt8]) {
        do throws(NetlinkError) {
            _ = try EntryCodec.read(message.span.bytes, into: &event)
        } catch {
            failures += 1
        }
        if filter.admits(event) { admitted += 1 }
    }

    private func append(_ number: Int, _ round: Int) {
        switch round {
        case 0:
            _ = ring.appendUpdate(
                connection(number, state: TCPState.synRecv), bits: MessageKind.new)
        case 1:
            _ = ring.appendUpdate(connection(number, state: TCPState.established), bits: 0)
        default: _ = ring.appendDelete(connection(number, state: TCPState.synRecv).key)
        }
    }

    private func receive(_ datagram: UnsafeMutableRawBufferPointer) {
        var packet = datagram
        if let opener = seal?.1 {
            do {
                let envelope = try SealEnvelope.read(datagram.bytes)
                try opener.open(datagram, envelope, isProven: true)
            } catch {
                failures += 1
            }
            packet = UnsafeMutableRawBufferPointer(rebasing: datagram[SealEnvelope.byteCount...])
        }
        _ = slave.receive(packet.bytes, from: peer, now: 1, wallMicroseconds: 1)
        do throws(SystemError) {
            try injector.apply(table, now: 1)
        } catch {
            failures += 1
        }
    }
}
