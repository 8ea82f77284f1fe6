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
}
