/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_system.h"

#include <fcntl.h>
#include <link.h>
#include <linux/magic.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <unistd.h>

int ctsync_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int ctsync_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void *close_one(void *fd) {
    close((int)(intptr_t)fd);
    return NULL;
}

void ctsync_close_later(int fd) {
    pthread_attr_t attributes;
    pthread_t thread;
    int failure = pthread_attr_init(&attributes);
    if (failure == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, 64 * 1024);
        failure = pthread_create(&thread, &attributes, close_one, (void *)(intptr_t)fd);
        pthread_attr_destroy(&attributes);
    }
    if (failure != 0) {
        close(fd);
    }
}

void ctsync_set_thread_name(const char *name) {
    char cut[16];
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

int ctsync_setns_net(int fd) {
    return setns(fd, CLONE_NEWNET);
}

int ctsync_write_lease(int fd, int take) {
    return fcntl(fd, F_SETLEASE, take ? F_WRLCK : F_UNLCK);
}

int ctsync_inotify_directory(const char *path) {
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    if (inotify_add_watch(fd, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int ctsync_open(const char *path, int flags, unsigned mode) {
    return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

int ctsync_wait(int first, int second, int64_t nanoseconds) {
    struct pollfd polled[2] = {
        {.fd = first, .events = POLLIN},
        {.fd = second, .events = POLLIN},
    };
    struct timespec time = {
        .tv_sec = nanoseconds / 1000000000,
        .tv_nsec = nanoseconds % 1000000000,
    };
    int ready = ppoll(polled, 2, nanoseconds < 0 ? NULL : &time, NULL);
    if (ready <= 0) {
        return 0;
    }
    return (polled[0].revents != 0 ? 1 : 0) | (polled[1].revents != 0 ? 2 : 0);
}

const char *ctsync_errno_name(int number) {
    return strerrorname_np(number);
}

/* Whether its code was changed when it was loaded, so that the file does not have what is mapped. */
static int is_relocated(const struct dl_phdr_info *object, const ElfW(Phdr) *dynamic) {
    const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + dynamic->p_vaddr);
    for (; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_TEXTREL ||
            (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)) {
            return 1;
        }
    }
    return 0;
}

static int drop_object(struct dl_phdr_info *object, size_t size, void *dropped) {
    (void)size;
    /* The vDSO is the kernel's. */
    if (strncmp(object->dlpi_name, "linux-", 6) == 0) {
        return 0;
    }
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_DYNAMIC && is_relocated(object, part)) {
            return 0;
        }
    }
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) {
            continue;
        }
        /* Whole pages only: those at the ends may be shared with a part that is written to. */
        uintptr_t first = (object->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t last = (object->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);
        if (first < last && madvise((void *)first, last - first, MADV_DONTNEED) == 0) {
            *(size_t *)dropped += last - first;
        }
    }
    return 0;
}

size_t ctsync_drop_start_pages(void) {
    size_t dropped = 0;
    dl_iterate_phdr(drop_object, &dropped);
    malloc_trim(0);
    return dropped;
}

int ctsync_is_in_memory(const char *path) {
    struct statfs answer;
    if (statfs(path, &answer) < 0) {
        return -1;
    }
    return answer.f_type == TMPFS_MAGIC || answer.f_type == RAMFS_MAGIC;
}

bool ctsync_output_is_written(void) {
    return fflush(stdout) == 0 && !ferror(stdout);
}

void ctsync_output_line(const void *text, size_t length) {
    fwrite(text, 1, length, stdout);
    putc('\n', stdout);
}
