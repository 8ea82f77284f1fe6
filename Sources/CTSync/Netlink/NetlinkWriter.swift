// SPDX-License-Identifier: GPL-2.0-or-later

/// Writes netlink messages one after the other into memory of its owner's; `Attribute.swift` has what
/// they are made of.
///
/// ```
///  0                 4             6            8            12           16
/// +-----------------+-------------+------------+------------+------------+
/// |nlmsg_len        |nlmsg_type   |nlmsg_flags |nlmsg_seq   |nlmsg_pid   |
/// +-----------+-----+------+------+------------+------------+------------+ 20
/// |nfgen_family 1   |version 1    |res_id 2    |attributes ...
/// +-----------------+-------------+------------+
/// ```
///
/// It does not grow: who begins a message has made sure that the largest one fits.
struct NetlinkWriter {
    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    private var messageStart = 0

    /// Bytes of nlmsghdr and nfgenmsg, which every message begins with.
    static let headerByteCount = NLMSG_HDRLEN + NFGENMSG_LENGTH

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

    /// Writes the nlmsghdr and nfgenmsg of a request.
    ///
    /// - Parameters:
    ///   - subsystem: NFNL_SUBSYS_*
    ///   - type: of the subsystem's messages.
    ///   - sequence: comes back with the answer.
    @inline(__always)
    mutating func beginMessage(
        _ subsystem: UInt16, type: UInt16, flags: UInt16, sequence: UInt32, family: UInt8
    ) {
        messageStart = count
        store(UInt32(Self.headerByteCount))  // nlmsg_len, corrected by endMessage
        store(subsystem << 8 | type)
        store(flags)
        store(sequence)
        store(UInt32(0))  // nlmsg_pid: ours, which the kernel knows
        store(UInt32(family).littleEndian)  // nfgen_family, version 0, res_id 0
    }

    /// Sets the begun message's length.
    @inline(__always)
    mutating func endMessage() {
        store(UInt32(count - messageStart), at: messageStart)
    }

    /// Appends a number as it stands.
    @inline(__always)
    mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        precondition(capacity - count >= MemoryLayout<Value>.size)
        base.storeBytes(of: value, toByteOffset: count, as: Value.self)
        count += MemoryLayout<Value>.size
    }

    /// Overwrites a number that was written before at this offset.
    @inline(__always)
    func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        base.storeBytes(of: value, toByteOffset: offset, as: Value.self)
    }
}
