// SPDX-License-Identifier: GPL-2.0-or-later

/// What the kernel counted of a connection: it is not replicated, and is read for `ct_sync flows` only.
///
/// ```
/// CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY: with net.netfilter.nf_conntrack_acct
/// |- CTA_COUNTERS_PACKETS 8
/// `- CTA_COUNTERS_BYTES 8
/// CTA_TIMESTAMP: with net.netfilter.nf_conntrack_timestamp
/// |- CTA_TIMESTAMP_START 8: nanoseconds since 1970
/// `- CTA_TIMESTAMP_STOP 8: of an entry that is gone
/// ```
struct Accounting: Equatable, Sendable {
    /// Packets and bytes of one direction.
    struct Count: Equatable, Sendable {
        /// Packets.
        var packets: UInt64 = 0
        /// Bytes with their layer-3 headers.
        var bytes: UInt64 = 0
    }

    /// Original direction; nil if the kernel does not count.
    var original: Count?
    /// Reply direction.
    var reply: Count?
    /// When the entry was made, in nanoseconds since 1970; nil if the kernel does not note it.
    var start: UInt64?
    /// When it went.
    var stop: UInt64?

    /// Nothing counted.
    init() {}

    /// Reads what a message has of it; what cannot be read is not there.
    init(_ message: RawSpan) {
        do throws(NetlinkError) {
            let end = try message.messageLength()
            var offset = NetlinkWriter.headerByteCount
            while offset < end {
                let attribute = try message.attribute(at: offset, before: end)
                offset = attribute.next
                switch attribute.type {
                case CTA_COUNTERS_ORIG: original = try Self.count(message, attribute)
                case CTA_COUNTERS_REPLY: reply = try Self.count(message, attribute)
                case CTA_TIMESTAMP: try readTimes(message, attribute)
                default: break
                }
            }
        } catch {
            self = Accounting()
        }
    }

    /// Nanoseconds from the entry's beginning to its end, or to `now`; nil if the beginning is unknown.
    func duration(now: UInt64) -> UInt64? {
        start.map { max($0, stop ?? now) - $0 }
    }

    private static func count(
        _ message: RawSpan, _ nest: Attribute
    ) throws(NetlinkError) -> Count {
        var count = Count()
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_COUNTERS_PACKETS: count.packets = try message.uint64(attribute)
            case CTA_COUNTERS_BYTES: count.bytes = try message.uint64(attribute)
            default: break
            }
        }
        return count
    }

    private mutating func readTimes(_ message: RawSpan, _ nest: Attribute) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_TIMESTAMP_START: start = try message.uint64(attribute)
            case CTA_TIMESTAMP_STOP: stop = try message.uint64(attribute)
            default: break
            }
        }
    }
}
