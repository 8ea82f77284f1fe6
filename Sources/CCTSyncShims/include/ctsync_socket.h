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

/* Joins a group on a device and sends to groups of its family through that. The address is in
 * network byte order, 4 or 16 bytes by family; an AF_INET6 socket may join groups of both. */
int ctsync_join_group(int fd, int family, const void *group, unsigned int device_index);

/* Leaves it; also if the device is gone since. */
int ctsync_leave_group(int fd, int family, const void *group, unsigned int device_index);

/* Ties a socket to a device. */
int ctsync_bind_to_device(int fd, const char *device);

/* The options of a sync socket, AF_INET or, for both families, AF_INET6: it sends with TTL and hop
 * limit 255, does not loop back to this host, and hears no group that it has not joined itself. */
int ctsync_sync_options(int fd, int family);

#endif
