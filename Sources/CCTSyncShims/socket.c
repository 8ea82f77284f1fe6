/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_socket.h"

#include <stddef.h>

_Static_assert(sizeof(struct ctsync_mmsghdr) == sizeof(struct mmsghdr), "mmsghdr has changed");
_Static_assert(offsetof(struct ctsync_mmsghdr, length) == offsetof(struct mmsghdr, msg_len),
               "mmsghdr has changed");

int ctsync_recvmmsg(int fd, struct ctsync_mmsghdr *messages, unsigned int count) {
    return recvmmsg(fd, (struct mmsghdr *)messages, count, MSG_DONTWAIT, NULL);
}

int ctsync_sendmmsg(int fd, struct ctsync_mmsghdr *messages, unsigned int count) {
    return sendmmsg(fd, (struct mmsghdr *)messages, count, MSG_DONTWAIT);
}

static int set_buffer(int fd, int force, int ordinary, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0 &&
        setsockopt(fd, SOL_SOCKET, ordinary, &bytes, sizeof bytes) < 0) {
        return -1;
    }
    int settled = 0;
    socklen_t length = sizeof settled;
    if (getsockopt(fd, SOL_SOCKET, ordinary, &settled, &length) < 0) {
        return -1;
    }
    return settled;
}

int ctsync_set_receive_buffer(int fd, int bytes) {
    return set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
}

int ctsync_set_send_buffer(int fd, int bytes) {
    return set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
}
