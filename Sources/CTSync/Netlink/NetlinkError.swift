// SPDX-License-Identifier: GPL-2.0-or-later

/// A netlink message that cannot be what the kernel sends; it is counted and stepped over.
package enum NetlinkError: Error, Equatable, Sendable {
    /// Shorter than its headers, or than its own length says.
    case shortMessage
    /// An attribute that ends past its message or its nest.
    case shortAttribute
    /// An attribute of a known type whose value has another size; the type is beside it.
    case wrongSize(UInt16)
    /// nfgen_family is neither AF_INET nor AF_INET6.
    case unknownFamily(UInt8)
    /// An entry without CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, or a tuple without addresses or protocol.
    case incompleteTuple
    /// NLMSG_ERROR or NLMSG_DONE with this error number.
    case kernel(Int32)
}
