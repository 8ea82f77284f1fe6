// SPDX-License-Identifier: GPL-2.0-or-later

#ifndef FUZZER_H
#define FUZZER_H

#include <stddef.h>
#include <stdint.h>

// libFuzzer's driver, of compiler-rt's FuzzerInterface.h.
int LLVMFuzzerRunDriver(int *argc, char ***argv,
                        int (*callback)(const uint8_t *data, size_t size));

#endif
