// SPDX-License-Identifier: GPL-2.0-or-later

/// What a message on a ctnetlink socket is.
package enum CtnetlinkKind: Sendable, Equatable {
    /// IPCTNL_MSG_CT_NEW with NLM_F_CREATE and NLM_F_EXCL: the event of a new entry.
    case new
    /// IPCTNL_MSG_CT_NEW without them: the event of a change, or an entry in a dump or a reply.
    case update
    /// IPCTNL_MSG_CT_DELETE
    case destroy
    /// IPCTNL_MSG_EXP_NEW
    case expectNew
    /// IPCTNL_MSG_EXP_DELETE
    case expectDestroy
    /// NLMSG_ERROR
    case error
    /// NLMSG_DONE
    case done
    /// Anything else, to be stepped over.
    case other

    /// What nlmsg_type and nlmsg_flags make of a message.
    @inline(__always)
    init(type: UInt16, flags: UInt16) {
        switch type {
        case NLMSG_ERROR: self = .error
        case NLMSG_DONE: self = .done
        case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW:
            let isNew = flags & (NLM_F_CREATE | NLM_F_EXCL) == NLM_F_CREATE | NLM_F_EXCL
            self = isNew ? .new : .update
        case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE: self = .destroy
        case NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_NEW: self = .expectNew
        case NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_DELETE: self = .expectDestroy
        default: self = .other
        }
    }
}

extension RawSpan {
    /// The family of the ctnetlink message at the span's start (nfgen_family), which has `length`
    /// bytes.
    @inline(__always)
    func ctnetlinkFamily(before length: Int) throws(NetlinkError) -> Family {
        guard length >= NetlinkWriter.headerByteCount else { throw .shortMessage }
        let number = unsafeLoad(fromByteOffset: NLMSG_HDRLEN, as: UInt8.self)
        guard let family = Family(rawValue: number) else { throw .unknownFamily(number) }
        return family
    }
}
