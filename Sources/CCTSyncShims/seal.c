/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "ctsync_seal.h"

#include <openssl/evp.h>
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

struct ctsync_hkdf {
    EVP_MD_CTX *context;
};

struct ctsync_hkdf *ctsync_hkdf_new(void) {
    struct ctsync_hkdf *hkdf = calloc(1, sizeof *hkdf);
    if (hkdf == NULL) {
        return NULL;
    }
    hkdf->context = EVP_MD_CTX_new();
    if (hkdf->context == NULL ||
        EVP_DigestInit_ex(hkdf->context, EVP_sha256(), NULL) != 1) {
        ctsync_hkdf_free(hkdf);
        return NULL;
    }
    return hkdf;
}

void ctsync_hkdf_free(struct ctsync_hkdf *hkdf) {
    if (hkdf != NULL) {
        EVP_MD_CTX_free(hkdf->context);
        free(hkdf);
    }
}

struct part {
    const uint8_t *bytes;
    size_t length;
};

static int hash(struct ctsync_hkdf *hkdf, const struct part *parts, int count, uint8_t *output) {
    if (EVP_DigestInit_ex(hkdf->context, NULL, NULL) != 1) {
        return 0;
    }
    for (int i = 0; i < count; i++) {
        if (EVP_DigestUpdate(hkdf->context, parts[i].bytes, parts[i].length) != 1) {
            return 0;
        }
    }
    return EVP_DigestFinal_ex(hkdf->context, output, NULL) == 1;
}

/* HMAC (RFC 2104) over up to three parts, with a key of any length. */
static int hmac(struct ctsync_hkdf *hkdf, struct part key, const struct part *parts, int count,
                uint8_t *output) {
    uint8_t inner[BLOCK], outer[BLOCK], block[BLOCK] = {0};
    int works = 1;
    if (key.length > BLOCK) {
        works = hash(hkdf, &key, 1, block);
    } else if (key.length > 0) {
        memcpy(block, key.bytes, key.length);
    }
    for (int i = 0; i < BLOCK; i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5c;
    }
    struct part all[4] = {{inner, BLOCK}};
    memcpy(all + 1, parts, (size_t)count * sizeof *parts);
    works = works && hash(hkdf, all, count + 1, output);
    struct part second[2] = {{outer, BLOCK}, {output, HASH}};
    works = works && hash(hkdf, second, 2, output);
    ctsync_forget(inner, sizeof inner);
    ctsync_forget(outer, sizeof outer);
    ctsync_forget(block, sizeof block);
    return works;
}

int ctsync_hkdf_derive(struct ctsync_hkdf *hkdf, const uint8_t *key, size_t key_length,
                       const uint8_t *salt, size_t salt_length, const uint8_t *information,
                       size_t information_length, uint8_t *output, size_t output_length) {
    if (output_length > 255 * HASH) {
        return -1;
    }
    uint8_t extracted[HASH], block[HASH];
    struct part input = {key, key_length};
    int works = hmac(hkdf, (struct part){salt, salt_length}, &input, 1, extracted);
    uint8_t number = 0;
    size_t done = 0;
    while (works && done < output_length) {
        struct part parts[3] = {
            {block, number == 0 ? 0 : HASH}, {information, information_length}, {&number, 1}};
        number++;
        works = hmac(hkdf, (struct part){extracted, HASH}, parts, 3, block);
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
