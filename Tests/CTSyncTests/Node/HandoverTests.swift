// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// A node that was master a moment ago hands over what begins in its kernel.
@Suite struct HandoverTests {
    /// Node 2, which follows node 1.
    private final class Donor {
        let kernel = SimulatedKernel(Chance(seed: 1))
        let port = SealedNode.Port(linkCount: 1)
        let engine: SlaveEngine
        let handover: Handover
        var now: Instant = 10 * Duration.second
        /// The oldest packet that can be asked for, as the last that was sent says.
        private(set) var oldest: UInt64 = 0

        init() throws {
            kernel.eventsSetting = 1
            kernel.advance(to: now)
            let slave = try SlaveProtocol.sample(ringSlots: 64)
            engine = try SlaveEngine(slave, kernel)
            let master = try MasterEngine(
                link: port, filter: FilterBox(.everything), ringSlots: 64, slotByteCount: 1_400,
                packetsPerSecond: 0, reconcileSeconds: 0)
            handover = Handover(master, engine, nodeID: 2)
            engine.begin(
                after: MasterClaim(epoch: 50, nodeID: 2),
                holding: Holding(latest: Basis(epoch: 50, sequence: 5)), now: now)
            take(PacketBytes.announcement(0))
            for _ in 0..<10 where !engine.slave.hasAdopted { turn() }
            #expect(engine.slave.hasAdopted && !hasMore)
        }

        /// Whether it has news for its master.
        var hasMore: Bool { engine.slave.holdings.newsToMaster(engine.slave.here).hasMore }
        /// The last word that it tells its master of.
        func latest() throws -> Basis {
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 2_048, alignment: 8)
            defer { target.deallocate() }
            engine.slave.reportSoon(now: now)
            while let (length, _) = engine.output(now: now, wallMicroseconds: 0, target) {
                let packet = Array(target[..<length])
                guard try PacketBytes.header(of: packet).type == .NACK else { continue }
                return try SlaveReport.read(packet.span.bytes, after: 0).holding.latest
            }
            return .none
        }

        /// Another master begins, after so many packets of the one before.
        func follow(_ epoch: UInt64, after count: UInt64) {
            for sequence in 1...count { take(PacketBytes.sync(sequence, [])) }
            take(PacketBytes.announcement(0, epoch: epoch))
        }

        static func tuple(_ port: UInt16) -> Tuple {
            SampleEntries.tuple(ProtocolNumber.udp, port, 53)
        }

        func begin(_ port: UInt16) {
            _ = kernel.table.insert(
                SampleEntries.entry(Self.tuple(port)), seconds: 100, .traffic)
        }

        /// As the link's thread does.
        func turn() {
            now += KernelWatch.beginInterval
            kernel.advance(to: now)
            engine.work(now: now)
            for _ in 0..<20 {
                now += Duration.millisecond
                _ = handover.step(now: now, wallMicroseconds: 0)
            }
        }

        /// What the master says, as a taker at this packet.
        func ask(_ type: PacketHeader.PacketType, _ expected: UInt64) {
            let header = PacketHeader(type: type, nodeID: 1, epoch: 100, sequence: expected)
            take(PacketBytes.sealed(header, PacketBytes.report()))
        }

        /// What begins is asked for, handed over and taken.
        ///
        /// - Returns: the packet that the master expects next.
        func handOver(_ port: UInt16) throws -> UInt64 {
            begin(port)
            turn()
            ask(.SLAVE_INITSYNC, 1)
            turn()
            let next = try #require(try handed().packets.last) + 1
            ask(.NACK, next)
            return next
        }

        private func take(_ packet: [UInt8]) {
            let consequence = engine.receive(
                packet.span.bytes, from: PacketBytes.peer, now: now, wallMicroseconds: 0)
            if case .handOver(let peer, let isRequest, let expected) = consequence {
                handover.receive(
                    packet.span.bytes, from: peer, isRequest: isRequest, expected: expected,
                    now: now, wallMicroseconds: 0)
            }
        }

        /// What it has sent of its table since the last call: the packets, and the source ports of
        /// the connections in them.
        func handed() throws -> (packets: [UInt64], ports: [UInt16]) {
            var (packets, ports): ([UInt64], [UInt16]) = ([], [])
            for packet in port.take() {
                let header = try PacketBytes.header(of: packet)
                guard header.type == .SYNC else { continue }
                packets.append(header.sequence)
                oldest = header.oldest
                var offset = PacketHeader.byteCount
                var message = Message()
                for _ in 0..<header.messageCount {
                    try MessageReader.read(packet.span.bytes, at: &offset, into: &message)
                    guard message.kind.resource == .CONNTRACK else { continue }
                    ports.append(message.entry.key.tuple.sourcePort)
                }
            }
            return (packets, ports)
        }
    }

    /// Also to a master that asks from the first packet on: it is told that those before are for nobody any
    /// more.
    @Test func whatBeginsAfterAHandoverIsHandedOverByPacketsOfItsOwn() throws {
        let donor = try Donor()
        var next: UInt64?
        for port: UInt16 in [1, 2] {
            donor.begin(port)
            donor.turn()
            #expect(donor.hasMore, "\(port)")
            donor.ask(.SLAVE_INITSYNC, 1)
            donor.turn()
            let (packets, ports) = try donor.handed()
            try #require(!packets.isEmpty, "\(port)")
            let first = next ?? packets[0]
            let end = first + UInt64(packets.count)
            #expect(packets == Array(first..<end) && ports == [port], "\(packets) \(ports)")
            #expect(donor.oldest == first)
            next = end
            donor.ask(.NACK, end)
            #expect(!donor.hasMore, "\(port)")
        }
        #expect(donor.handover.count == 2)
    }

    /// A request that comes late once more does not begin again what its master goes on with.
    @Test func aRequestThatComesLateOnceMoreLeavesTheStreamAsItIs() throws {
        let donor = try Donor()
        let next = try donor.handOver(1)
        donor.begin(2)
        donor.turn()
        donor.ask(.SLAVE_INITSYNC, 1)
        donor.ask(.SLAVE_INITSYNC, next)
        donor.turn()
        var (packets, ports) = try donor.handed()
        #expect(packets == Array(next..<next + UInt64(packets.count)) && ports == [2], "\(packets)")
        // Nor does it take from a master what that is being handed.
        donor.ask(.SLAVE_INITSYNC, 1)
        donor.turn()
        (packets, ports) = try donor.handed()
        #expect(packets.isEmpty && ports.isEmpty, "\(packets)")
    }

    /// What a walk has said that nobody took is not all that there is, if more has begun since: its end would
    /// tell the master that it has that too.
    @Test func whatBeginsAfterAWalkThatNobodyTookIsHandedOver() throws {
        let donor = try Donor()
        let next = try donor.handOver(1)
        // A request that crosses the end of what it asks for.
        donor.ask(.SLAVE_INITSYNC, next)
        donor.turn()
        let last = try #require(try donor.handed().packets.last)
        donor.begin(2)
        donor.turn()
        donor.ask(.SLAVE_INITSYNC, next)
        donor.turn()
        #expect(try donor.handed().ports == [2] && donor.oldest > last)
    }

    /// A master whose request is lost is served by the packets of a walk that began before: what has begun
    /// since, and it was told of, it counts as taken.
    @Test func whatBeginsBeforeAnOlderWalkIsTakenIsToldAgain() throws {
        let donor = try Donor()
        let next = try donor.handOver(1)
        donor.ask(.SLAVE_INITSYNC, next)
        donor.turn()
        let end = try #require(try donor.handed().packets.last) + 1
        donor.begin(2)
        donor.turn()
        let told = try donor.latest()
        donor.ask(.NACK, end)
        let toldAgain = try donor.latest()
        #expect(donor.hasMore && toldAgain > told)
        // The same report once more is no news.
        donor.ask(.NACK, end)
        #expect(try donor.latest() == toldAgain)
        donor.ask(.SLAVE_INITSYNC, end)
        donor.turn()
        let (packets, ports) = try donor.handed()
        #expect(ports == [2])
        donor.ask(.NACK, try #require(packets.last) + 1)
        #expect(!donor.hasMore)
    }

    /// What begins under a later master is later than all that the node has told that one before, also if
    /// it became slave under another.
    @Test func whatBeginsUnderALaterMasterIsNewsToIt() throws {
        let donor = try Donor()
        donor.follow(200, after: 3)
        let told = try donor.latest()
        #expect(told == Basis(epoch: 100, sequence: 3))
        donor.begin(1)
        donor.turn()
        #expect(try donor.hasMore && donor.latest() > told)
        #expect(donor.engine.table.lateness(Key(Donor.tuple(1))) > told)
    }

    /// What an operator has the node forget was told; what begins after that is not.
    @Test func whatBeginsAfterAFlushIsNews() throws {
        let donor = try Donor()
        donor.begin(1)
        donor.turn()
        #expect(donor.hasMore)
        #expect(donor.engine.slave.flush(now: donor.now) == 1 && !donor.hasMore)
        donor.begin(2)
        donor.turn()
        #expect(donor.hasMore)
    }

    /// What the master expects, or has, may be of a stream that another process began: the packets of this one
    /// are not to be taken for the rest of it.
    @Test(arguments: [1, 3, 1 << 40] as [UInt64])
    func aStreamHasNumbersOfItsOwn(_ expected: UInt64) throws {
        let donor = try Donor()
        donor.begin(1)
        donor.turn()
        donor.ask(.SLAVE_INITSYNC, expected)
        donor.turn()
        let first = try #require(try donor.handed().packets.first)
        #expect(first > expected + 64 && donor.oldest == first)
        donor.ask(.SLAVE_INITSYNC, first + 1)
        donor.turn()
        #expect(try Set(donor.handed().ports) == [1])
    }

    /// A request that is repeated is not another.
    @Test func aRequestMadeAgainBeginsNothingAnew() throws {
        let donor = try Donor()
        donor.begin(1)
        donor.turn()
        donor.ask(.SLAVE_INITSYNC, 1)
        donor.ask(.SLAVE_INITSYNC, 1)
        donor.turn()
        #expect(try donor.handed().ports == [1] && donor.handover.count == 1)
    }
}
