/* SPDX-License-Identifier: GPL-2.0-or-later
 * What the takeover needs: the list of devices, raw frames, and programs run to their end.
 */
#ifndef CTSYNC_TAKEOVER_H
#define CTSYNC_TAKEOVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Asks an rtnetlink socket for all devices, without their statistics (RTM_GETLINK). */
int ctsync_request_links(int fd);

/* An AF_PACKET socket for whole frames: bound to a device and receiving every protocol, or, with
 * the index 0, receiving nothing and sending through any device. Non-blocking. */
int ctsync_packet_open(unsigned int device_index);

/* The same for datagrams of UDP to this port on all devices: the kernel drops the rest before it is copied. */
int ctsync_packet_watch(uint16_t port);

/* Sends one whole frame through a device. */
ssize_t ctsync_packet_send(int fd, unsigned int device_index, const void *frame, size_t length);

/* sll_pkttype of the next frame in `kind`, the number of its device in `device_index`; its length, or -1
 * (EAGAIN: none waits). */
ssize_t ctsync_packet_receive(
    int fd, void *frame, size_t capacity, int *kind, unsigned int *device_index);

/* A file in memory, closed on exec; memfd_create(2). */
int ctsync_memory_file(const char *name);

/* Starts a program with these as its standard input and as its output and error, with SIGTERM, SIGINT
 * and SIGHUP blocked and no environment but PATH and LC_ALL=C; 0 or an error number. */
int ctsync_spawn(const char *path, char *const arguments[], int input, int output, pid_t *child);

/* Waits for its end: the exit status, 128 and the signal's number, or -1. */
int ctsync_wait_child(pid_t child);

#endif
