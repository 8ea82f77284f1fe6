/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_control.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

int ctsync_read_lease(int fd) {
    return fcntl(fd, F_SETLEASE, F_RDLCK);
}

int ctsync_accept(int fd) {
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int ctsync_peer_is_trusted(int fd) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
        return 0;
    }
    return peer.uid == 0 || peer.uid == geteuid();
}

int ctsync_epoll(void) {
    return epoll_create1(EPOLL_CLOEXEC);
}

int ctsync_epoll_add(int epoll, int fd, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int ctsync_epoll_want_write(int epoll, int fd, uint64_t token) {
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

int ctsync_epoll_want_nothing(int epoll, int fd, uint64_t token) {
    struct epoll_event event = {.events = 0, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

int ctsync_epoll_remove(int epoll, int fd) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

int ctsync_epoll_ready(int epoll, uint64_t *tokens, int count) {
    struct epoll_event events[32];
    if (count > 32) {
        count = 32;
    }
    int ready = epoll_wait(epoll, events, count, 0);
    for (int i = 0; i < ready; i++) {
        tokens[i] = events[i].data.u64;
    }
    return ready;
}

int ctsync_timer(void) {
    return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

int ctsync_timer_set(int fd, uint64_t instant) {
    struct itimerspec time = {
        .it_value = {.tv_sec = instant / 1000000000, .tv_nsec = instant % 1000000000}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, NULL);
}

int ctsync_exchange(const char *first, const char *second) {
    return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}

int ctsync_pin(int fd) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_PATH | O_CLOEXEC);
}
