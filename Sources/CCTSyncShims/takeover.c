/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_takeover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int ctsync_request_links(int fd) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr attribute;
        uint32_t mask;
    } request;
    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_GETLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.attribute.rta_len = sizeof request.attribute + sizeof request.mask;
    request.attribute.rta_type = IFLA_EXT_MASK;
    request.mask = RTEXT_FILTER_SKIP_STATS;
    return send(fd, &request, sizeof request, 0) < 0 ? -1 : 0;
}

static struct sockaddr_ll link_address(unsigned int device_index) {
    struct sockaddr_ll address;
    memset(&address, 0, sizeof address);
    address.sll_family = AF_PACKET;
    address.sll_ifindex = (int)device_index;
    return address;
}

int ctsync_packet_open(unsigned int device_index) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || device_index == 0) {
        return fd;
    }
    struct sockaddr_ll address = link_address(device_index);
    address.sll_protocol = htons(ETH_P_ALL);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int ctsync_packet_watch(uint16_t port) {
    /* From the network header on, which is at another place in the frame for each kind of device. A header of
     * IPv4 with options is none of ours. */
    enum { NET = SKF_NET_OFF, PROTOCOL = SKF_AD_OFF + SKF_AD_PROTOCOL };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (unsigned)PROTOCOL),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 4),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)(NET + 9)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 7),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (unsigned)(NET + 20 + 2)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 6, 5),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 4),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)(NET + 6)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 2),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (unsigned)(NET + 40 + 2)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0x40000),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    struct sockaddr_ll address = link_address(0);
    address.sll_protocol = htons(ETH_P_ALL);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0
        || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

ssize_t ctsync_packet_send(int fd, unsigned int device_index, const void *frame, size_t length) {
    struct sockaddr_ll address = link_address(device_index);
    if (length >= ETH_HLEN) {
        memcpy(&address.sll_protocol, (const char *)frame + 12, 2);
    }
    return sendto(fd, frame, length, 0, (struct sockaddr *)&address, sizeof address);
}

ssize_t ctsync_packet_receive(
    int fd, void *frame, size_t capacity, int *kind, unsigned int *device_index) {
    struct sockaddr_ll address;
    socklen_t size = sizeof address;
    ssize_t count =
        recvfrom(fd, frame, capacity, MSG_DONTWAIT, (struct sockaddr *)&address, &size);
    if (count >= 0) {
        *kind = address.sll_pkttype;
        *device_index = (unsigned)address.sll_ifindex;
    }
    return count;
}

int ctsync_memory_file(const char *name) {
    return memfd_create(name, MFD_CLOEXEC);
}

int ctsync_spawn(const char *path, char *const arguments[], int input, int output, pid_t *child) {
    static char *const environment[] = {
        "PATH=/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin", "LC_ALL=C", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t orders, ordinary;
    /* A stop may be sent to every process of a service or a terminal; what this one does of it, it
     * does with programs. */
    sigemptyset(&orders);
    sigaddset(&orders, SIGTERM);
    sigaddset(&orders, SIGINT);
    sigaddset(&orders, SIGHUP);
    sigemptyset(&ordinary);
    sigaddset(&ordinary, SIGPIPE);
    sigaddset(&ordinary, SIGCHLD);
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawnattr_setsigmask(&attributes, &orders);
    posix_spawnattr_setsigdefault(&attributes, &ordinary);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    result = posix_spawn(child, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

int ctsync_wait_child(pid_t child) {
    int status = 0;
    pid_t result;
    do {
        result = waitpid(child, &status, 0);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
