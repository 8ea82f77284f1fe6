/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
/* SHA256_Init and the others allocate nothing; EVP_DigestInit_ex of OpenSSL 3.0 does each time. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ctsync_seal.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { HASH = 32, BLOCK = 64 };

/* MARK: AES-256-GCM */

struct ctsync_gcm {
    EVP_CIPHER_CTX *context;
    int seals;
};

struct ctsync_gcm *ctsync_gcm_new(int seals) {
    struct ctsync_gcm *gcm = calloc(1, sizeof *gcm);
    if (gcm == NULL) {
        return NULL;
    }
    gcm->seals = seals != 0;
    gcm->context = EVP_CIPHER_CTX_new();
    if (gcm->context == NULL ||
        EVP_CipherInit_ex(gcm->context, EVP_aes_256_gcm(), NULL, NULL, NULL, gcm->seals) != 1) {
        ctsync_gcm_free(gcm);
        return NULL;
    }
    return gcm;
}

void ctsync_gcm_free(struct ctsync_gcm *gcm) {
    if (gcm != NULL) {
        EVP_CIPHER_CTX_free(gcm->context);
        free(gcm);
    }
}

int ctsync_gcm_set_key(struct ctsync_gcm *gcm, const uint8_t *key) {
    return EVP_CipherInit_ex(gcm->context, NULL, NULL, key, NULL, gcm->seals) == 1 ? 0 : -1;
}

static int run(struct ctsync_gcm *gcm, const uint8_t *nonce, const uint8_t *header,
               size_t header_length, uint8_t *bytes, size_t length) {
    int written = 0;
    return EVP_CipherInit_ex(gcm->context, NULL, NULL, NULL, nonce, gcm->seals) == 1 &&
           EVP_CipherUpdate(gcm->context, NULL, &written, header, (int)header_length) == 1 &&
           (length == 0 ||
            EVP_CipherUpdate(gcm->context, bytes, &written, bytes, (int)length) == 1);
}

int ctsync_gcm_seal(struct ctsync_gcm *gcm, const uint8_t *nonce, const uint8_t *header,
                    size_t header_length, uint8_t *bytes, size_t length, uint8_t *tag) {
    uint8_t rest[16];
    int written = 0;
    if (!run(gcm, nonce, header, header_length, bytes, length) ||
        EVP_CipherFinal_ex(gcm->context, rest, &written) != 1) {
        return -1;
    }
    return EVP_CIPHER_CTX_ctrl(gcm->context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1 ? 0 : -1;
}

int ctsync_gcm_open(struct ctsync_gcm *gcm, const uint8_t *nonce, const uint8_t *header,
                    size_t header_length, uint8_t *bytes, size_t length, const uint8_t *tag) {
    uint8_t expected[16], rest[16];
    int written = 0;
    memcpy(expected, tag, sizeof expected);
    if (!run(gcm, nonce, header, header_length, bytes, length) ||
        EVP_CIPHER_CTX_ctrl(gcm->context, EVP_CTRL_AEAD_SET_TAG, 16, expected) != 1) {
        return -1;
    }
    return EVP_CipherFinal_ex(gcm->context, rest, &written) == 1 ? 0 : -1;
}

/* MARK: HMAC and HKDF */

struct part {
    const uint8_t *bytes;
    size_t length;
};

static int hash(const struct part *parts, int count, uint8_t *output) {
    SHA256_CTX state;
    int works = SHA256_Init(&state) == 1;
    for (int i = 0; i < count; i++) {
        works = works && SHA256_Update(&state, parts[i].bytes, parts[i].length) == 1;
    }
    works = works && SHA256_Final(output, &state) == 1;
    ctsync_forget(&state, sizeof state);
    return works;
}

/* HMAC (RFC 2104) over up to three parts, with a key of any length. */
static int hmac(struct part key, const struct part *parts, int count, uint8_t *output) {
    uint8_t inner[BLOCK], outer[BLOCK], block[BLOCK] = {0};
    int works = 1;
    if (key.length > BLOCK) {
        works = hash(&key, 1, block);
    } else if (key.length > 0) {
        memcpy(block, key.bytes, key.length);
    }
    for (int i = 0; i < BLOCK; i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5c;
    }
    struct part all[4] = {{inner, BLOCK}};
    memcpy(all + 1, parts, (size_t)count * sizeof *parts);
    works = works && hash(all, count + 1, output);
    struct part second[2] = {{outer, BLOCK}, {output, HASH}};
    works = works && hash(second, 2, output);
    ctsync_forget(inner, sizeof inner);
    ctsync_forget(outer, sizeof outer);
    ctsync_forget(block, sizeof block);
    return works;
}

int ctsync_hkdf(const uint8_t *key, size_t key_length, const uint8_t *salt, size_t salt_length,
                const uint8_t *information, size_t information_length, uint8_t *output,
                size_t output_length) {
    if (output_length > 255 * HASH) {
        return -1;
    }
    uint8_t extracted[HASH], block[HASH];
    struct part input = {key, key_length};
    int works = hmac((struct part){salt, salt_length}, &input, 1, extracted);
    uint8_t number = 0;
    size_t done = 0;
    while (works && done < output_length) {
        struct part parts[3] = {
            {block, number == 0 ? 0 : HASH}, {information, information_length}, {&number, 1}};
        number++;
        works = hmac((struct part){extracted, HASH}, parts, 3, block);
        size_t next = output_length - done < HASH ? output_length - done : HASH;
        memcpy(output + done, block, next);
        done += next;
    }
    ctsync_forget(extracted, sizeof extracted);
    ctsync_forget(block, sizeof block);
    return works ? 0 : -1;
}

void ctsync_forget(void *bytes, size_t length) {
    explicit_bzero(bytes, length);
}
