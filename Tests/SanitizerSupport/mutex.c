// SPDX-License-Identifier: GPL-2.0-or-later

// Swift's Mutex for the thread sanitizer. A lock that is taken takes the way through
// libswiftSynchronization.so, which is not instrumented: the sanitizer sees no order between the
// threads that share it, and calls everything under it a race. Here is that function, instrumented, in
// the test's executable, whose symbols come before those of any library.
//
// It spins instead of sleeping in the kernel, so nobody waits there and the way of unlocking that is
// inlined, which the sanitizer sees, is always enough.

#include "sanitizer_support.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

// Synchronization._MutexHandle._lockSlow(_: UInt32): the thread's id, and the word that holds the
// owner's.
#define LOCK_SLOW \
    __attribute__((swiftcall)) void lock_slow( \
        uint32_t thread, __attribute__((swift_context)) _Atomic(uint32_t) *owner)

LOCK_SLOW __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

LOCK_SLOW {
    uint32_t none = 0;
    while (!atomic_compare_exchange_weak_explicit(
        owner, &none, thread, memory_order_acquire, memory_order_relaxed)) {
        none = 0;
        sched_yield();
    }
}

#endif
#endif
