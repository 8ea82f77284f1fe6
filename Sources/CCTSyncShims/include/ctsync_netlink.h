/* SPDX-License-Identifier: GPL-2.0-or-later
 * Netlink sockets: sockaddr_nl and the SOL_NETLINK options.
 */
#ifndef CTSYNC_NETLINK_H
#define CTSYNC_NETLINK_H

#include <stdint.h>

/* A bound, non-blocking netlink socket of this protocol (NETLINK_NETFILTER, NETLINK_ROUTE) in the
 * multicast groups of the mask (the first 32 groups); -1 and errno on failure. */
int ctsync_netlink_open(int protocol, uint32_t groups);

/* The port that the kernel has given a bound netlink socket; getsockname(2). */
int ctsync_netlink_port(int fd, uint32_t *port);

/* NETLINK_CAP_ACK: error replies without a copy of the request. */
int ctsync_netlink_short_errors(int fd);

/* FD_CLOEXEC and O_NONBLOCK on a descriptor that a library has opened. */
int ctsync_set_private_non_blocking(int fd);

/* struct sock_filter: one instruction of classic BPF. */
struct ctsync_bpf {
    uint16_t code;
    uint8_t jt;
    uint8_t jf;
    uint32_t k;
};

/* SO_ATTACH_FILTER: the kernel copies and checks the program; 0, or -1 and errno. */
int ctsync_attach_filter(int fd, const struct ctsync_bpf *program, uint16_t count);

/* NETLINK_DROP_MEMBERSHIP: nothing of the group (enum nfnetlink_groups) comes any more; 0, or -1 and
   errno. */
int ctsync_leave_netlink_group(int fd, int group);

/* A new network namespace for the calling thread only; unshare(2) with CLONE_NEWNET. */
int ctsync_unshare_net(void);

#endif
