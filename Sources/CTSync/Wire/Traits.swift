// SPDX-License-Identifier: GPL-2.0-or-later

/// Something that a node tells the others of its kernel. The raw value is its place on the wire.
enum KernelTrait: Int, CaseIterable, Sendable {
    // Sysctls.
    case conntrackMax = 0
    case buckets, events, tcpLoose, tcpBeLiberal, checksum, accounting
    case forwarding, forwarding6, reversePath
    case genericTimeout, icmpTimeout, icmp6Timeout, udpTimeout, udpStreamTimeout
    case synSentTimeout, synReceivedTimeout, establishedTimeout, finWaitTimeout
    case closeWaitTimeout, lastAckTimeout, timeWaitTimeout, closeTimeout
    // Entries that a slave could not carry on, by what is lacking.
    case noNATChain, noNAT, noLabels, noAddress, noHelper
    // The last comparison of its kernel with what the master said.
    case verifiedEntries, verifiedDiffered, verifiedAdded, verifiedAge

    /// Those that are sysctls.
    static let sysctls = allCases.filter { $0.rawValue <= KernelTrait.closeTimeout.rawValue }
}

/// What a node's kernel is set to, and what it lacks for a takeover, as it tells the others.
///
/// ```
/// | 0 count 1 | 1 zero 3 | 4 value 4 | ...
/// ```
/// The values are in the order of `KernelTrait`; all ones for what is not known, or not of its role. A reader
/// takes those that it knows.
struct Traits: Sendable, Equatable, BitwiseCopyable {
    private var values: InlineArray<32, UInt32> = .init(repeating: Traits.unknown)

    /// Bytes on the wire.
    static let byteCount = headByteCount + 4 * count
    private static let headByteCount = 4
    /// `KernelTrait.allCases` is made again each time: not for the way of a packet.
    private static let count = KernelTrait.verifiedAge.rawValue + 1
    private static let unknown = UInt32.max

    /// One that says nothing.
    init() {}

    /// A value; nil if it is not known.
    subscript(trait: KernelTrait) -> UInt32? {
        get {
            let value = values[trait.rawValue]
            return value == Self.unknown ? nil : value
        }
        set { values[trait.rawValue] = newValue.map { min($0, Self.unknown - 1) } ?? Self.unknown }
    }

    static func == (left: Traits, right: Traits) -> Bool {
        (0..<count).allSatisfy { left.values[$0] == right.values[$0] }
    }

    /// Writes its bytes.
    func write(_ packet: inout MutableRawSpan, at place: Int) {
        packet.setByte(place, UInt8(Self.count))
        for offset in 1..<Self.headByteCount { packet.setByte(place + offset, 0) }
        for index in 0..<Self.count {
            packet.setBig(place + Self.headByteCount + 4 * index, values[index])
        }
    }

    /// Reads those that follow the part of a packet that every node writes; nil if there are none.
    static func read(_ packet: RawSpan, at place: Int) -> Traits? {
        guard place + headByteCount <= packet.byteCount else { return nil }
        let said = Int(packet.byte(place))
        guard said > 0, place + headByteCount + 4 * said <= packet.byteCount else { return nil }
        var traits = Traits()
        for index in 0..<min(said, count) {
            traits.values[index] = packet.big(place + headByteCount + 4 * index)
        }
        return traits
    }
}
