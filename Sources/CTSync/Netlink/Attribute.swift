// SPDX-License-Identifier: GPL-2.0-or-later

/// Where one attribute (`struct nlattr`) stands in a message; its bounds have been checked.
///
/// ```
///  0              2              4
/// +--------------+--------------+-----------------------------+---------+
/// |nla_len       |nla_type      |value: nla_len - 4 bytes     |padding  |
/// +--------------+--------------+-----------------------------+---------+ a multiple of 4
/// ```
///
/// A value is a number in network order, a nest of attributes, a text with a final zero byte, or
/// bytes. Each has its reader and its writer here, next to each other.
struct Attribute: BitwiseCopyable {
    /// nla_type without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    let type: UInt16
    /// The offset of its value.
    let start: Int
    /// The offset behind its value.
    let end: Int
    /// The offset of the attribute that follows it.
    let next: Int

    /// Bytes of an attribute with a value of this many, its padding included.
    @inline(__always)
    static func byteCount(_ valueByteCount: Int) -> Int {
        NLA_HDRLEN &+ padded(valueByteCount)
    }

    @inline(__always)
    fileprivate static func padded(_ byteCount: Int) -> Int { (byteCount &+ 3) & ~3 }
}

// MARK: Header and nests

extension RawSpan {
    /// The attribute at an offset, all of it before `end`.
    @inline(__always)
    func attribute(at offset: Int, before end: Int) throws(NetlinkError) -> Attribute {
        guard end &- offset >= NLA_HDRLEN else { throw .shortAttribute }
        let length = Int(hostUInt16(at: offset))
        guard length >= NLA_HDRLEN, length <= end &- offset else { throw .shortAttribute }
        return Attribute(
            type: hostUInt16(at: offset &+ 2) & NLA_TYPE_MASK, start: offset &+ NLA_HDRLEN,
            end: offset &+ length, next: Swift.min(offset &+ Attribute.padded(length), end))
    }
}

extension NetlinkWriter {
    @inline(__always)
    private mutating func header(_ type: UInt16, byteCount: Int) {
        store(UInt16(NLA_HDRLEN + byteCount))
        store(type)
    }

    /// Begins a nest; its return value ends it.
    @inline(__always)
    mutating func beginNest(_ type: UInt16) -> Int {
        let start = count
        header(type | NLA_F_NESTED, byteCount: 0)
        return start
    }

    /// Ends a nest.
    @inline(__always)
    mutating func endNest(_ start: Int) {
        store(UInt16(count - start), at: start)
    }
}

// MARK: Numbers in network order

extension RawSpan {
    /// The value of an attribute of one byte.
    @inline(__always)
    func uint8(_ attribute: Attribute) throws(NetlinkError) -> UInt8 { try number(attribute) }

    /// The value of an attribute of two bytes.
    @inline(__always)
    func uint16(_ attribute: Attribute) throws(NetlinkError) -> UInt16 { try number(attribute) }

    /// The value of an attribute of four bytes.
    @inline(__always)
    func uint32(_ attribute: Attribute) throws(NetlinkError) -> UInt32 { try number(attribute) }

    /// The value of an attribute of eight bytes.
    @inline(__always)
    func uint64(_ attribute: Attribute) throws(NetlinkError) -> UInt64 { try number(attribute) }

    @inline(__always)
    private func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ attribute: Attribute
    ) throws(NetlinkError) -> Number {
        guard attribute.end &- attribute.start == MemoryLayout<Number>.size else {
            throw .wrongSize(attribute.type)
        }
        return Number(
            bigEndian: unsafeLoadUnaligned(fromByteOffset: attribute.start, as: Number.self))
    }
}

extension NetlinkWriter {
    /// An attribute of one, two or four bytes.
    @inline(__always)
    mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: UInt16, _ value: Number
    ) {
        let byteCount = MemoryLayout<Number>.size
        header(type, byteCount: byteCount)
        // The value's bytes and the padding, at once.
        store((UInt32(truncatingIfNeeded: value) << UInt32(8 * (4 - byteCount))).bigEndian)
    }
}

// MARK: Addresses of IPv6, and sixteen bytes as they stand

extension RawSpan {
    /// The value of an attribute of sixteen bytes in network order.
    @inline(__always)
    func address(_ attribute: Attribute) throws(NetlinkError) -> Address {
        let (first, second) = try hostOrder(attribute)
        return Address(high: UInt64(bigEndian: first), low: UInt64(bigEndian: second))
    }

    /// The value of an attribute of sixteen bytes as they stand.
    @inline(__always)
    func hostOrder(_ attribute: Attribute) throws(NetlinkError) -> (UInt64, UInt64) {
        guard attribute.end &- attribute.start == 2 * MemoryLayout<UInt64>.size else {
            throw .wrongSize(attribute.type)
        }
        return (hostUInt64(at: attribute.start), hostUInt64(at: attribute.start &+ 8))
    }
}

extension NetlinkWriter {
    /// An attribute of sixteen bytes in network order.
    @inline(__always)
    mutating func put(_ type: UInt16, _ value: Address) {
        putHostOrder(type, value.high.bigEndian, value.low.bigEndian)
    }

    /// An attribute of sixteen bytes as they stand.
    @inline(__always)
    mutating func putHostOrder(_ type: UInt16, _ first: UInt64, _ second: UInt64) {
        header(type, byteCount: 2 * MemoryLayout<UInt64>.size)
        store(first)
        store(second)
    }
}

// MARK: Texts

extension RawSpan {
    /// Where the bytes of a text are, up to its final zero byte if it has one.
    @inline(__always)
    func text(_ attribute: Attribute) -> Range<Int> {
        var end = attribute.start
        while end < attribute.end, unsafeLoad(fromByteOffset: end, as: UInt8.self) != 0 { end += 1 }
        return attribute.start..<end
    }
}

extension NetlinkWriter {
    /// A text of some bytes, with its final zero byte.
    @inline(__always)
    mutating func putText(_ type: UInt16, byteCount: Int, _ byte: (Int) -> UInt8) {
        header(type, byteCount: byteCount + 1)
        for index in 0..<Attribute.padded(byteCount + 1) {
            store(index < byteCount ? byte(index) : 0)
        }
    }
}

// MARK: Bytes as they stand

extension RawSpan {
    /// Two bytes as they stand; the caller has checked the bounds.
    @inline(__always)
    func hostUInt16(at offset: Int) -> UInt16 {
        unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)
    }

    /// Four bytes as they stand; the caller has checked the bounds.
    @inline(__always)
    func hostUInt32(at offset: Int) -> UInt32 {
        unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    /// Eight bytes as they stand; the caller has checked the bounds.
    @inline(__always)
    func hostUInt64(at offset: Int) -> UInt64 {
        unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
