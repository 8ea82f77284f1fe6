// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes netlink messages and their attributes one after the other into memory of its owner's.
///
/// It does not grow: who begins a message has made sure that the largest one fits.
struct NetlinkWriter {
    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    private var messageStart = 0

    /// Bytes written.
    private(set) var count = 0

    init(_ base: UnsafeMutableRawPointer, capacity: Int) {
        self.base = base
        self.capacity = capacity
    }

    /// Bytes left.
    var remaining: Int { capacity - count }

    /// Forgets what was written.
    mutating func removeAll() {
        count = 0
    }

    /// Writes the nlmsghdr and nfgenmsg of a ctnetlink request.
    @inline(__always)
    mutating func beginMessage(
        type: UInt16, flags: UInt16, sequence: UInt32, family: UInt8,
        subsystem: UInt16 = NFNL_SUBSYS_CTNETLINK
    ) {
        messageStart = count
        let length = UInt32(NLMSG_HDRLEN + NFGENMSG_LENGTH)
        store(length)  // nlmsg_len, corrected by endMessage
        store(subsystem << 8 | type)
        store(flags)
        store(sequence)
        store(UInt32(0))  // nlmsg_pid: ours, which the kernel knows
        store(UInt32(family).littleEndian)  // nfgen_family, version 0, res_id 0
    }

    /// Sets the begun message's length.
    @inline(__always)
    mutating func endMessage() {
        let length = UInt32(count - messageStart)
        base.storeBytes(of: length, toByteOffset: messageStart, as: UInt32.self)
    }

    /// Begins a nest; its return value ends it.
    @inline(__always)
    mutating func beginNest(_ type: UInt16) -> Int {
        let start = count
        header(type | NLA_F_NESTED, length: 0)
        return start
    }

    /// Ends a nest.
    @inline(__always)
    mutating func endNest(_ start: Int) {
        let length = UInt16(count - start)
        base.storeBytes(of: length, toByteOffset: start, as: UInt16.self)
    }

    /// An attribute of one byte.
    @inline(__always)
    mutating func put(_ type: UInt16, _ value: UInt8) {
        header(type, length: 1)
        store(UInt32(value).littleEndian)  // the byte and three of padding
    }

    /// An attribute of two bytes in network order.
    @inline(__always)
    mutating func put(_ type: UInt16, _ value: UInt16) {
        header(type, length: 2)
        store(value.bigEndian)
        store(UInt16(0))
    }

    /// An attribute of four bytes in network order.
    @inline(__always)
    mutating func put(_ type: UInt16, _ value: UInt32) {
        header(type, length: 4)
        store(value.bigEndian)
    }

    /// An attribute of sixteen bytes in network order.
    @inline(__always)
    mutating func put(_ type: UInt16, _ value: Address) {
        header(type, length: 16)
        store(value.high.bigEndian)
        store(value.low.bigEndian)
    }

    /// An attribute of sixteen bytes as they stand.
    @inline(__always)
    mutating func putHostOrder(_ type: UInt16, _ low: UInt64, _ high: UInt64) {
        header(type, length: 16)
        store(low)
        store(high)
    }

    /// A helper's name with its final zero byte.
    mutating func put(_ type: UInt16, _ name: HelperName) {
        header(type, length: name.count + 1)
        for index in 0..<((name.count + 4) & ~3) {
            store(index < name.count ? name[index] : 0)
        }
    }

    /// The name of an expectation's function with its final zero byte.
    mutating func put(_ type: UInt16, _ name: ExpectFunctionName) {
        header(type, length: name.count + 1)
        for index in 0..<((name.count + 4) & ~3) {
            store(index < name.count ? name[index] : 0)
        }
    }

    @inline(__always)
    private mutating func header(_ type: UInt16, length: Int) {
        store(UInt16(NLA_HDRLEN + length))
        store(type)
    }

    @inline(__always)
    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        precondition(capacity - count >= MemoryLayout<Value>.size)
        base.storeBytes(of: value, toByteOffset: count, as: Value.self)
        count += MemoryLayout<Value>.size
    }
}
