/* SPDX-License-Identifier: GPL-2.0-or-later
 * Batched datagrams and the socket options of the sync link.
 */
#ifndef CTSYNC_SOCKET_H
#define CTSYNC_SOCKET_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* struct mmsghdr, which Glibc's module hides behind _GNU_SOURCE. */
struct ctsync_mmsghdr {
    struct msghdr header;
    unsigned int length;
};

/* recvmmsg(2) and sendmmsg(2), never blocking (MSG_DONTWAIT). */
int ctsync_recvmmsg(int fd, struct ctsync_mmsghdr *messages, unsigned int count);
int ctsync_sendmmsg(int fd, struct ctsync_mmsghdr *messages, unsigned int count);

/* Buffer size in bytes, past the system's limit where CAP_NET_ADMIN allows it; returns the size the
 * kernel settled on (it doubles what is asked), or -1. */
int ctsync_set_receive_buffer(int fd, int bytes);
int ctsync_set_send_buffer(int fd, int bytes);

/* The MTU of a device in bytes, or -1 (SIOCGIFMTU). */
int ctsync_device_mtu(const char *device);

/* Joins a group on a device and sends to groups through it: hop limit 1, no loop back to this host.
 * The address is in network byte order, 4 or 16 bytes by family. */
int ctsync_join_group(int fd, int family, const void *group, unsigned int device_index);

/* Ties a socket to a device. */
int ctsync_bind_to_device(int fd, const char *device);

/* An IPv6 socket for IPv6 only; hop limit 1 for unicast of either family. */
int ctsync_link_only(int fd, int family);

#endif
