// SPDX-License-Identifier: GPL-2.0-or-later

/// Where the last word of a connection stands in the open packet, so that the next one can amend it.
///
/// A place for each hash, without a search: of two connections that share one, the earlier is
/// forgotten, and what is said of it later is a message of its own. `EntryMessage.amend` looks whether
/// a place is the connection's. Under the ring's lock, as the packet is.
struct OpenMessages: ~Copyable {
    private static let count = 128
    private static let shift: UInt64 = 64 - 7  // 2 ** 7 is `count`

    /// Offsets in the packet; 0 for none, as a header is there.
    private let offsets: UnsafeMutablePointer<UInt16>

    init() {
        offsets = .allocate(capacity: Self.count)
        offsets.initialize(repeating: 0, count: Self.count)
    }

    deinit { offsets.deallocate() }

    /// Checks that each offset is one of a message. For tests.
    ///
    /// - Parameters:
    ///   - length: of the open packet.
    ///   - report: called with each contradiction.
    func assertValid(_ length: Int, _ report: (String) -> Void) {
        for index in 0..<Self.count where offsets[index] != 0 {
            let offset = Int(offsets[index])
            guard !(PacketHeader.byteCount..<length).contains(offset) else { continue }
            report("a message is at \(offset) of \(length) bytes")
        }
    }

    /// Forgets all: another packet is open.
    func removeAll() {
        offsets.update(repeating: 0, count: Self.count)
    }

    /// The offset of what may be the connection's message; 0 for none.
    @inline(__always)
    func offset(of key: borrowing Key) -> Int {
        Int(offsets[Self.place(key)])
    }

    /// Remembers where the connection's message begins; 0 for nowhere.
    @inline(__always)
    func set(_ key: borrowing Key, _ offset: Int) {
        offsets[Self.place(key)] = UInt16(truncatingIfNeeded: offset)
    }

    @inline(__always)
    private static func place(_ key: borrowing Key) -> Int {
        let tuple = key.tuple
        let ports = UInt64(tuple.sourcePort) << 16 | UInt64(tuple.destinationPort)
        var mixed = tuple.source.low &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ tuple.destination.low ^ ports << 32) &* 0xC2B2_AE3D_27D4_EB4F
        return Int(truncatingIfNeeded: mixed >> shift)
    }
}
