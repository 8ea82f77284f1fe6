// SPDX-License-Identifier: GPL-2.0-or-later

// Kernel constants in the kernel's spelling; uapi/linux/netlink.h.
let NETLINK_NETFILTER: Int32 = 12
let NLMSG_HDRLEN = 16
let NLMSG_ERROR: UInt16 = 2
let NLMSG_DONE: UInt16 = 3
let NLM_F_REQUEST: UInt16 = 0x001
let NLM_F_DUMP: UInt16 = 0x300
let NLM_F_EXCL: UInt16 = 0x200
let NLM_F_CREATE: UInt16 = 0x400
let NLA_HDRLEN = 4
let NLA_F_NESTED: UInt16 = 0x8000
let NLA_TYPE_MASK: UInt16 = 0x3FFF

// uapi/linux/netfilter/nfnetlink.h
let NFGENMSG_LENGTH = 4
