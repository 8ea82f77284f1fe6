// SPDX-License-Identifier: GPL-2.0-or-later

/// What one datagram of an RTM_GETLINK dump holds.
struct DeviceReader {
    /// The devices of its RTM_NEWLINK messages, in their order.
    private(set) var devices: [Device] = []
    /// Whether NLMSG_DONE is among the messages.
    private(set) var isLast = false
    /// Whether the list changed while it was being read (NLM_F_DUMP_INTR): ask again.
    private(set) var isInterrupted = false

    /// Reads the messages.
    ///
    /// - Throws: `NetlinkError` if a length cannot be true, or of the kernel's refusal.
    init(_ bytes: RawSpan) throws(NetlinkError) {
        var offset = 0
        while offset < bytes.byteCount {
            guard let next = bytes.nextMessage(after: offset) else { throw .shortMessage }
            let end = offset + Int(bytes.hostUInt32(at: offset))
            if bytes.hostUInt16(at: offset + 6) & Self.dumpInterrupted != 0 { isInterrupted = true }
            switch bytes.hostUInt16(at: offset + 4) {
            case Self.done:
                isLast = true
            case Self.error:
                let number = try bytes.errorNumber(at: offset)
                if number != 0 { refusal = number }
            case Self.newLink:
                if let device = try Self.device(bytes, from: offset + NLMSG_HDRLEN, to: end) {
                    devices.append(device)
                }
            default:
                break
            }
            offset = next
        }
    }

    /// errno of an NLMSG_ERROR among the messages; 0 for none.
    private(set) var refusal: CInt = 0

    private static let error: UInt16 = 2  // NLMSG_ERROR
    private static let done: UInt16 = 3  // NLMSG_DONE
    private static let newLink: UInt16 = 16  // RTM_NEWLINK
    private static let dumpInterrupted: UInt16 = 0x10  // NLM_F_DUMP_INTR
    private static let headerLength = 16  // struct ifinfomsg

    /// A device from ifinfomsg and what follows; nil for a bridge's view of a port (AF_BRIDGE).
    private static func device(
        _ bytes: RawSpan, from start: Int, to end: Int
    ) throws(NetlinkError) -> Device? {
        guard end - start >= headerLength else { throw .shortMessage }
        guard bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt8.self) == 0 else {
            return nil
        }
        var device = Device(index: bytes.hostUInt32(at: start + 4), name: "")
        device.hardwareType = bytes.hostUInt16(at: start + 2)
        device.flags = bytes.hostUInt32(at: start + 8)
        var isForeign = false
        var offset = start + headerLength
        while offset < end {
            let attribute = try bytes.attribute(at: offset, before: end)
            switch attribute.type {
            case 1: device.address = raw(bytes, attribute)  // IFLA_ADDRESS
            case 3: device.name = text(bytes, attribute)  // IFLA_IFNAME
            case 5: device.lower = try number(bytes, attribute)  // IFLA_LINK
            case 10: device.master = try number(bytes, attribute)  // IFLA_MASTER
            case 18: try readInfo(bytes, attribute, into: &device)  // IFLA_LINKINFO
            case 37: isForeign = true  // IFLA_LINK_NETNSID: IFLA_LINK is a number of elsewhere
            default: break
            }
            offset = attribute.next
        }
        if isForeign || device.lower == device.index { device.lower = nil }
        return device
    }

    private static func readInfo(
        _ bytes: RawSpan, _ info: Attribute, into device: inout Device
    ) throws(NetlinkError) {
        var data: Attribute?
        var offset = info.start
        while offset < info.end {
            let attribute = try bytes.attribute(at: offset, before: info.end)
            switch attribute.type {
            case 1: device.kind = text(bytes, attribute)  // IFLA_INFO_KIND
            case 2: data = attribute  // IFLA_INFO_DATA, whose meaning the kind decides
            default: break
            }
            offset = attribute.next
        }
        guard device.kind == "vlan", let data else { return }
        var tag = Device.Tag(identifier: 0)
        offset = data.start
        while offset < data.end {
            let attribute = try bytes.attribute(at: offset, before: data.end)
            switch attribute.type {
            case 1:  // IFLA_VLAN_ID, in host order
                guard attribute.end - attribute.start == 2 else { throw .wrongSize(1) }
                tag.identifier = bytes.hostUInt16(at: attribute.start)
            case 5:  // IFLA_VLAN_PROTOCOL, in network order
                tag.etherType = try bytes.uint16(attribute)
            default: break
            }
            offset = attribute.next
        }
        device.tag = tag
    }

    /// A number in host order; nil for 0, which is no device.
    private static func number(
        _ bytes: RawSpan, _ attribute: Attribute
    ) throws(NetlinkError) -> UInt32? {
        guard attribute.end - attribute.start == 4 else { throw .wrongSize(attribute.type) }
        let value = bytes.hostUInt32(at: attribute.start)
        return value == 0 ? nil : value
    }

    private static func raw(_ bytes: RawSpan, _ attribute: Attribute) -> [UInt8] {
        (attribute.start..<attribute.end).map {
            bytes.unsafeLoadUnaligned(fromByteOffset: $0, as: UInt8.self)
        }
    }

    private static func text(_ bytes: RawSpan, _ attribute: Attribute) -> String {
        String(decoding: raw(bytes, attribute).prefix { $0 != 0 }, as: UTF8.self)
    }
}
