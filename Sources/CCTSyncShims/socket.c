/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_socket.h"

#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

int ctsync_device_mtu(const char *device) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int result = ioctl(fd, SIOCGIFMTU, &request);
    close(fd);
    return result < 0 ? -1 : request.ifr_mtu;
}

int ctsync_join_group(int fd, int family, const void *group, unsigned int device_index) {
    int index = (int)device_index;
    if (family == AF_INET) {
        struct ip_mreqn request;
        memset(&request, 0, sizeof request);
        memcpy(&request.imr_multiaddr, group, 4);
        request.imr_ifindex = index;
        if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0) {
            return -1;
        }
        return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
    }
    struct ipv6_mreq request;
    memset(&request, 0, sizeof request);
    memcpy(&request.ipv6mr_multiaddr, group, 16);
    request.ipv6mr_interface = device_index;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request) < 0) {
        return -1;
    }
    return setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
}

int ctsync_leave_group(int fd, int family, const void *group, unsigned int device_index) {
    if (family == AF_INET) {
        struct ip_mreqn request;
        memset(&request, 0, sizeof request);
        memcpy(&request.imr_multiaddr, group, 4);
        request.imr_ifindex = (int)device_index;
        return setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &request, sizeof request);
    }
    struct ipv6_mreq request;
    memset(&request, 0, sizeof request);
    memcpy(&request.ipv6mr_multiaddr, group, 16);
    request.ipv6mr_interface = device_index;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &request, sizeof request);
}

int ctsync_bind_to_device(int fd, const char *device) {
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1);
}

static int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

int ctsync_sync_options(int fd, int family) {
    if (set(fd, IPPROTO_IP, IP_TTL, 255) < 0 || set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 255) < 0 ||
        set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) < 0 ||
        set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) < 0) {
        return -1;
    }
    if (family == AF_INET) {
        return 0;
    }
    if (set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0 ||
        set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255) < 0 ||
        set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255) < 0 ||
        set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) < 0) {
        return -1;
    }
    return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
}
