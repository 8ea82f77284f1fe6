/* SPDX-License-Identifier: GPL-2.0-or-later
 * The control file and the control socket: leases, epoll, accept4.
 */
#ifndef CTSYNC_CONTROL_H
#define CTSYNC_CONTROL_H

#include <stdint.h>

/* Takes the read lease of a file opened read-only: EAGAIN while anybody has it open for writing. */
int ctsync_read_lease(int fd);

/* renameat2(2) with RENAME_EXCHANGE: both files change their names in one step. */
int ctsync_exchange(const char *first, const char *second);

/* Another descriptor of an open file, with O_PATH: it keeps the inode, and no lease from anybody. */
int ctsync_pin(int fd);

/* Connections of unix stream sockets, closed on exec and non-blocking. */
int ctsync_accept(int fd);

/* Whether the other end of a unix socket is the superuser or this process's own user. */
int ctsync_peer_is_trusted(int fd);

/* epoll(7), level-triggered: watch for reading, for writing, for neither, or no more; the token comes
 * back when the descriptor is ready, or when the other end is gone. */
int ctsync_epoll(void);
int ctsync_epoll_add(int epoll, int fd, uint64_t token);
int ctsync_epoll_want_write(int epoll, int fd, uint64_t token);
int ctsync_epoll_want_nothing(int epoll, int fd, uint64_t token);
int ctsync_epoll_remove(int epoll, int fd);

/* timerfd_create(2): readable from an instant of CLOCK_BOOTTIME on, in nanoseconds; never for 0. */
int ctsync_timer(void);
int ctsync_timer_set(int fd, uint64_t instant);

/* Tokens of at most count (32 at the most) ready descriptors, without waiting. */
int ctsync_epoll_ready(int epoll, uint64_t *tokens, int count);

#endif
