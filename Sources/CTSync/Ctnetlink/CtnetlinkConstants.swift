// SPDX-License-Identifier: GPL-2.0-or-later

// Kernel constants in the kernel's spelling; uapi/linux/netfilter/nfnetlink.h.
let NFNL_SUBSYS_CTNETLINK: UInt16 = 1
let NFNL_SUBSYS_CTNETLINK_EXP: UInt16 = 2

// enum cntl_msg_types and ctnl_exp_msg_types, uapi/linux/netfilter/nfnetlink_conntrack.h
let IPCTNL_MSG_CT_NEW: UInt16 = 0
let IPCTNL_MSG_CT_GET: UInt16 = 1
let IPCTNL_MSG_CT_DELETE: UInt16 = 2
let IPCTNL_MSG_EXP_NEW: UInt16 = 0
let IPCTNL_MSG_EXP_GET: UInt16 = 1
let IPCTNL_MSG_EXP_DELETE: UInt16 = 2

// enum ctattr_type
let CTA_TUPLE_ORIG: UInt16 = 1
let CTA_TUPLE_REPLY: UInt16 = 2
let CTA_STATUS: UInt16 = 3
let CTA_PROTOINFO: UInt16 = 4
let CTA_HELP: UInt16 = 5
let CTA_NAT_SRC: UInt16 = 6
let CTA_TIMEOUT: UInt16 = 7
let CTA_MARK: UInt16 = 8
let CTA_COUNTERS_ORIG: UInt16 = 9
let CTA_COUNTERS_REPLY: UInt16 = 10
let CTA_ID: UInt16 = 12
let CTA_NAT_DST: UInt16 = 13
let CTA_TUPLE_MASTER: UInt16 = 14
let CTA_SEQ_ADJ_ORIG: UInt16 = 15
let CTA_SEQ_ADJ_REPLY: UInt16 = 16
let CTA_ZONE: UInt16 = 18
let CTA_TIMESTAMP: UInt16 = 20
let CTA_LABELS: UInt16 = 22
let CTA_LABELS_MASK: UInt16 = 23
let CTA_SYNPROXY: UInt16 = 24

// enum ctattr_tuple, ctattr_ip, ctattr_l4proto
let CTA_TUPLE_IP: UInt16 = 1
let CTA_TUPLE_PROTO: UInt16 = 2
let CTA_TUPLE_ZONE: UInt16 = 3
let CTA_IP_V4_SRC: UInt16 = 1
let CTA_IP_V4_DST: UInt16 = 2
let CTA_IP_V6_SRC: UInt16 = 3
let CTA_IP_V6_DST: UInt16 = 4
let CTA_PROTO_NUM: UInt16 = 1
let CTA_PROTO_SRC_PORT: UInt16 = 2
let CTA_PROTO_DST_PORT: UInt16 = 3
let CTA_PROTO_ICMP_ID: UInt16 = 4
let CTA_PROTO_ICMP_TYPE: UInt16 = 5
let CTA_PROTO_ICMP_CODE: UInt16 = 6
let CTA_PROTO_ICMPV6_ID: UInt16 = 7
let CTA_PROTO_ICMPV6_TYPE: UInt16 = 8
let CTA_PROTO_ICMPV6_CODE: UInt16 = 9

// enum ctattr_protoinfo, ctattr_protoinfo_tcp, ctattr_protoinfo_sctp
let CTA_PROTOINFO_TCP: UInt16 = 1
let CTA_PROTOINFO_SCTP: UInt16 = 3
let CTA_PROTOINFO_TCP_STATE: UInt16 = 1
let CTA_PROTOINFO_TCP_WSCALE_ORIGINAL: UInt16 = 2
let CTA_PROTOINFO_TCP_WSCALE_REPLY: UInt16 = 3
let CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: UInt16 = 4
let CTA_PROTOINFO_TCP_FLAGS_REPLY: UInt16 = 5
let CTA_PROTOINFO_SCTP_STATE: UInt16 = 1
let CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: UInt16 = 2
let CTA_PROTOINFO_SCTP_VTAG_REPLY: UInt16 = 3

// enum ctattr_nat, ctattr_protonat
let CTA_NAT_V4_MINIP: UInt16 = 1
let CTA_NAT_V4_MAXIP: UInt16 = 2
let CTA_NAT_PROTO: UInt16 = 3
let CTA_NAT_V6_MINIP: UInt16 = 4
let CTA_NAT_V6_MAXIP: UInt16 = 5
let CTA_PROTONAT_PORT_MIN: UInt16 = 1
let CTA_PROTONAT_PORT_MAX: UInt16 = 2

// enum ctattr_counters, ctattr_tstamp
let CTA_COUNTERS_PACKETS: UInt16 = 1
let CTA_COUNTERS_BYTES: UInt16 = 2
let CTA_TIMESTAMP_START: UInt16 = 1
let CTA_TIMESTAMP_STOP: UInt16 = 2

// enum ctattr_seqadj, ctattr_synproxy, ctattr_help
let CTA_SEQADJ_CORRECTION_POS: UInt16 = 1
let CTA_SEQADJ_OFFSET_BEFORE: UInt16 = 2
let CTA_SEQADJ_OFFSET_AFTER: UInt16 = 3
let CTA_SYNPROXY_ISN: UInt16 = 1
let CTA_SYNPROXY_ITS: UInt16 = 2
let CTA_SYNPROXY_TSOFF: UInt16 = 3
let CTA_HELP_NAME: UInt16 = 1

// enum ctattr_expect, ctattr_expect_nat
let CTA_EXPECT_MASTER: UInt16 = 1
let CTA_EXPECT_TUPLE: UInt16 = 2
let CTA_EXPECT_MASK: UInt16 = 3
let CTA_EXPECT_TIMEOUT: UInt16 = 4
let CTA_EXPECT_ID: UInt16 = 5
let CTA_EXPECT_HELP_NAME: UInt16 = 6
let CTA_EXPECT_ZONE: UInt16 = 7
let CTA_EXPECT_FLAGS: UInt16 = 8
let CTA_EXPECT_CLASS: UInt16 = 9
let CTA_EXPECT_NAT: UInt16 = 10
let CTA_EXPECT_FN: UInt16 = 11
let CTA_EXPECT_NAT_DIR: UInt16 = 1
let CTA_EXPECT_NAT_TUPLE: UInt16 = 2

// enum nfnetlink_groups as the bits of sockaddr_nl: uapi/linux/netfilter/nfnetlink_compat.h
let NF_NETLINK_CONNTRACK_NEW: UInt32 = 0x01
let NF_NETLINK_CONNTRACK_UPDATE: UInt32 = 0x02
let NF_NETLINK_CONNTRACK_DESTROY: UInt32 = 0x04
let NF_NETLINK_CONNTRACK_EXP_NEW: UInt32 = 0x08
let NF_NETLINK_CONNTRACK_EXP_DESTROY: UInt32 = 0x20
