// SPDX-License-Identifier: GPL-2.0-or-later

/// The checksum of packets that are not sealed: CRC-32C, changed by the cluster's name.
///
/// It protects from nobody; it keeps clusters that share a segment by mistake apart.
struct PacketChecksum: Sendable {
    /// Where it stands.
    static let place = 40

    private let crc = CRC32C()
    /// CRC-32C of the name: 0 for none.
    private let mask: UInt32

    /// The checksum of a cluster.
    init(cluster: String = "") {
        let name = Array(cluster.utf8)
        mask = crc.update(0, name.span.bytes)
    }

    /// The checksum of a packet, its place taken as zero.
    func value(of packet: RawSpan) -> UInt32 {
        plain(packet) ^ mask
    }

    /// Writes it into a packet that is otherwise whole.
    func write(_ packet: inout MutableRawSpan) {
        packet.setBig(Self.place, value(of: packet.bytes))
    }

    /// What a packet says about its sender's cluster: `mask` there, anything if it is damaged.
    func mask(of packet: RawSpan) -> UInt32 {
        plain(packet) ^ packet.big(Self.place, as: UInt32.self)
    }

    private func plain(_ packet: RawSpan) -> UInt32 {
        let zero: UInt32 = 0
        var checksum = crc.update(0, packet.extracting(0..<Self.place))
        withUnsafeBytes(of: zero) { checksum = crc.update(checksum, $0.bytes) }
        return crc.update(checksum, packet.extracting((Self.place + 4)..<packet.byteCount))
    }
}

/// Tells another cluster from damage: the packets of a cluster all say the same about it.
struct ForeignCluster: Sendable, BitwiseCopyable {
    private var mask: UInt32?

    /// Nobody foreign has been heard.
    init() {}

    /// What a packet with a wrong checksum is.
    mutating func error(for packet: RawSpan, _ checksum: PacketChecksum) -> WireError {
        let found = checksum.mask(of: packet)
        defer { mask = found }
        return found == mask ? .cluster : .checksum
    }
}
