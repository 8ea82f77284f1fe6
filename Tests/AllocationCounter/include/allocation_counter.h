// SPDX-License-Identifier: GPL-2.0-or-later

#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/// Whether allocations can be counted: not under the sanitizers, which have malloc themselves.
bool allocation_counter_works(void);

/// Counts the calling thread's allocations from 0, from now on; one thread at a time.
void allocation_counter_start(void);

/// Stops counting.
///
/// Returns how often the calling thread has asked for memory since the start.
uint64_t allocation_counter_stop(void);

#endif
