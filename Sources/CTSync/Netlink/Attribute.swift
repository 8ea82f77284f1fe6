// SPDX-License-Identifier: GPL-2.0-or-later

/// Where one attribute (`struct nlattr`) stands in a message; its bounds have been checked.
struct Attribute: BitwiseCopyable {
    /// nla_type without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
    let type: UInt16
    /// The offset of its value.
    let start: Int
    /// The offset behind its value.
    let end: Int
    /// The offset of the attribute that follows it.
    let next: Int
}

extension RawSpan {
    /// The attribute at an offset, all of it before `end`.
    @inline(__always)
    func attribute(at offset: Int, before end: Int) throws(NetlinkError) -> Attribute {
        guard end &- offset >= NLA_HDRLEN else { throw .shortAttribute }
        let length = Int(hostUInt16(at: offset))
        guard length >= NLA_HDRLEN, length <= end &- offset else { throw .shortAttribute }
        let padded = offset &+ ((length &+ 3) & ~3)
        return Attribute(
            type: hostUInt16(at: offset &+ 2) & NLA_TYPE_MASK, start: offset &+ NLA_HDRLEN,
            end: offset &+ length, next: Swift.min(padded, end))
    }

    /// The value of an attribute of one byte.
    @inline(__always)
    func uint8(_ attribute: Attribute) throws(NetlinkError) -> UInt8 {
        guard attribute.end &- attribute.start == 1 else { throw .wrongSize(attribute.type) }
        return unsafeLoadUnaligned(fromByteOffset: attribute.start, as: UInt8.self)
    }

    /// The value of an attribute of two bytes in network order.
    @inline(__always)
    func uint16(_ attribute: Attribute) throws(NetlinkError) -> UInt16 {
        guard attribute.end &- attribute.start == 2 else { throw .wrongSize(attribute.type) }
        return UInt16(bigEndian: hostUInt16(at: attribute.start))
    }

    /// The value of an attribute of four bytes in network order.
    @inline(__always)
    func uint32(_ attribute: Attribute) throws(NetlinkError) -> UInt32 {
        guard attribute.end &- attribute.start == 4 else { throw .wrongSize(attribute.type) }
        return UInt32(bigEndian: hostUInt32(at: attribute.start))
    }

    /// The value of an attribute of sixteen bytes in network order.
    @inline(__always)
    func address(_ attribute: Attribute) throws(NetlinkError) -> Address {
        guard attribute.end &- attribute.start == 16 else { throw .wrongSize(attribute.type) }
        return Address(
            high: UInt64(bigEndian: hostUInt64(at: attribute.start)),
            low: UInt64(bigEndian: hostUInt64(at: attribute.start &+ 8)))
    }

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
