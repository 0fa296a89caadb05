/* Digests and random bytes: the only file that includes libsodium.
 *
 * BLAKE2b-256 (RFC 7693), keyed where a key is given. Thread-safe. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32, DIGEST_HEX_SIZE = 65, DIGEST_KEY_SIZE = 32 };

struct digest_state {
    _Alignas(64) unsigned char opaque[384];
};

/* key: DIGEST_KEY_SIZE bytes or NULL. */
void digest_begin(struct digest_state *s, const uint8_t *key);
void digest_update(struct digest_state *s, const void *bytes, size_t n);
void digest_end(struct digest_state *s, uint8_t ret[DIGEST_SIZE]);

void digest_bytes(const uint8_t *key, const void *bytes, size_t n, uint8_t ret[DIGEST_SIZE]);
/* Lower-case hexadecimal with a NUL. */
void digest_hex(const uint8_t digest[DIGEST_SIZE], char ret[DIGEST_HEX_SIZE]);
/* In constant time. */
int digest_equal(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE]);

/* From the kernel; never fails (it ends the process when the kernel has no randomness). */
void random_bytes(void *ret, size_t n);
/* The n bytes that number `nonce` of a seed stands for: ChaCha20 (djb's, 64-bit nonce), 32-byte key. */
void random_stream(const uint8_t seed[DIGEST_KEY_SIZE], uint64_t nonce, void *ret, size_t n);

#endif
