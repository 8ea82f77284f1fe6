/* SPDX-License-Identifier: GPL-2.0-or-later
 * Descriptors, threads and files: GNU and Linux calls outside the Glibc module.
 */
#ifndef CTSYNC_SYSTEM_H
#define CTSYNC_SYSTEM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) */
int ctsync_eventfd(void);

/* signalfd for SIGTERM, SIGINT and SIGHUP, which the caller's thread and all made later block. */
int ctsync_signalfd(void);

/* pthread_setname_np of the calling thread, cut to 15 characters. */
void ctsync_set_thread_name(const char *name);

/* setns(2) with CLONE_NEWNET: the calling thread only. */
int ctsync_setns_net(int fd);

/* Takes (1) or gives back (0) the write lease of a regular file; F_SETLEASE. */
int ctsync_write_lease(int fd, int take);

/* inotify on a directory: writes closed, files moved in. Non-blocking. */
int ctsync_inotify_directory(const char *path);

/* open(2), whose mode argument is variadic. */
int ctsync_open(const char *path, int flags, unsigned mode);

/* ppoll(2) for POLLIN on up to two descriptors (-1 for none); nanoseconds, negative for ever.
 * Returns a bit for each that is ready (errors and hang-ups included), 0 at the end of the time. */
int ctsync_wait(int first, int second, int64_t nanoseconds);

/* Closes a descriptor in a thread of its own: the kernel may keep who closes it waiting. */
void ctsync_close_later(int fd);

/* The name of an errno ("EPERM"); NULL for an unknown one. */
const char *ctsync_errno_name(int number);

/* Unmaps what is mapped of the program's and the libraries' code and constants, and gives free memory
 * of malloc back. What is used again comes from the page cache. Returns the bytes of what it looked
 * at. */
size_t ctsync_drop_start_pages(void);

/* Whether a path is on tmpfs or ramfs (uapi/linux/magic.h): 1 or 0; -1 with errno. */
int ctsync_is_in_memory(const char *path);

/* Writes what standard output still has; whether that and all before it was written. */
bool ctsync_output_is_written(void);

/* Writes a line to standard output, in its buffer; what cannot be written is told by
 * ctsync_output_is_written. */
void ctsync_output_line(const void *text, size_t length);

#endif
