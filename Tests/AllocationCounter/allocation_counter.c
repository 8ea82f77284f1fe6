// SPDX-License-Identifier: GPL-2.0-or-later

// Wraps malloc and its kin over glibc's own, in the test's executable, whose symbols come before
// those of any library: so it sees what Swift's runtime allocates too.

#include "allocation_counter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static __thread bool counting __attribute__((tls_model("initial-exec")));
static __thread uint64_t count __attribute__((tls_model("initial-exec")));

#ifdef SANITIZED
bool allocation_counter_works(void) { return false; }
#else
bool allocation_counter_works(void) { return true; }

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static void note(void) {
    if (counting) count++;
}

void *malloc(size_t size) {
    note();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    note();
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
    note();
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    note();
    void *made = __libc_memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *memory = made;
    return 0;
}

void free(void *memory) { __libc_free(memory); }
#endif

// Called by Swift's runtime at every throw. Swift Testing sets them to functions that keep a
// backtrace, which allocates; outside tests they are null.
extern void *_Atomic _swift_willThrow;
extern void *_Atomic _swift_willThrowTypedImpl;
static void *hook;
static void *typed_hook;

void allocation_counter_start(void) {
    hook = atomic_exchange(&_swift_willThrow, NULL);
    typed_hook = atomic_exchange(&_swift_willThrowTypedImpl, NULL);
    count = 0;
    counting = true;
}

uint64_t allocation_counter_stop(void) {
    counting = false;
    atomic_store(&_swift_willThrow, hook);
    atomic_store(&_swift_willThrowTypedImpl, typed_hook);
    return count;
}
