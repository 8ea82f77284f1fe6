/* SPDX-License-Identifier: GPL-2.0-or-later
 * Sealing packets: AES-256-GCM and HKDF-SHA256 by libcrypto. A cipher's context allocates when it is
 * made, and never when it is used or given another key; HKDF never does.
 */
#ifndef CTSYNC_SEAL_H
#define CTSYNC_SEAL_H

#include <stddef.h>
#include <stdint.h>

/* AES-256-GCM in one direction, for one thread. NULL without memory or without the cipher. */
struct ctsync_gcm;
struct ctsync_gcm *ctsync_gcm_new(int seals);
void ctsync_gcm_free(struct ctsync_gcm *gcm);

/* Gives it another key of 32 bytes; 0, or -1. */
int ctsync_gcm_set_key(struct ctsync_gcm *gcm, const uint8_t *key);

/* Encrypts bytes where they are and writes the 16 bytes of the tag over them and the header; 0, or
 * -1. A nonce of 12 bytes must not be used twice with a key. */
int ctsync_gcm_seal(struct ctsync_gcm *gcm, const uint8_t *nonce, const uint8_t *header,
                    size_t header_length, uint8_t *bytes, size_t length, uint8_t *tag);

/* Decrypts bytes where they are; 0, or -1 if the tag does not fit: the bytes are worthless then. */
int ctsync_gcm_open(struct ctsync_gcm *gcm, const uint8_t *nonce, const uint8_t *header,
                    size_t header_length, uint8_t *bytes, size_t length, const uint8_t *tag);

/* HKDF with SHA-256 (RFC 5869); at most 255 * 32 bytes of output; 0, or -1. */
int ctsync_hkdf(const uint8_t *key, size_t key_length, const uint8_t *salt, size_t salt_length,
                const uint8_t *information, size_t information_length, uint8_t *output,
                size_t output_length);

/* Overwrites a secret; the compiler keeps it. */
void ctsync_forget(void *bytes, size_t length);

#endif
