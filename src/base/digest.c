/* Owns libsodium and the source of random bytes.
 *
 * libsodium picks its vector code in sodium_init, which costs 40 µs where cpuid traps (virtual machines). Digests are
 * the same without it, so it's called only before inputs that are long enough to repay it. Thread-safe. */
#define _GNU_SOURCE 1
#include "base/digest.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

_Static_assert(sizeof(struct digest_state) >= sizeof(crypto_generichash_state), "digest_state is too small");
_Static_assert(_Alignof(struct digest_state) >= _Alignof(crypto_generichash_state), "digest_state is misaligned");
_Static_assert(DIGEST_SIZE == crypto_generichash_BYTES, "digest size");
_Static_assert(DIGEST_KEY_SIZE == crypto_stream_chacha20_KEYBYTES, "seed size");
_Static_assert(sizeof(uint64_t) == crypto_stream_chacha20_NONCEBYTES, "nonce size");
_Static_assert(DIGEST_KEY_SIZE == crypto_generichash_KEYBYTES, "key size");

enum { WORTH_INIT = 128 * 1024 };

static crypto_generichash_state *state_of(struct digest_state *s) {
    return (crypto_generichash_state *)(void *)s->opaque;
}

void digest_begin(struct digest_state *s, const uint8_t *key) {
    crypto_generichash_init(state_of(s), key, key ? DIGEST_KEY_SIZE : 0, DIGEST_SIZE);
}

void digest_update(struct digest_state *s, const void *bytes, size_t n) {
    /* A failure (no random device) doesn't concern digests; repeating it costs a lock and a comparison. */
    if (n >= WORTH_INIT && sodium_init() < 0)
        errno = 0;
    crypto_generichash_update(state_of(s), bytes, n);
}

void digest_end(struct digest_state *s, uint8_t ret[DIGEST_SIZE]) {
    crypto_generichash_final(state_of(s), ret, DIGEST_SIZE);
}

void digest_bytes(const uint8_t *key, const void *bytes, size_t n, uint8_t ret[DIGEST_SIZE]) {
    struct digest_state s;
    digest_begin(&s, key);
    digest_update(&s, bytes, n);
    digest_end(&s, ret);
}

void digest_hex(const uint8_t digest[DIGEST_SIZE], char ret[DIGEST_HEX_SIZE]) {
    sodium_bin2hex(ret, DIGEST_HEX_SIZE, digest, DIGEST_SIZE);
}

int digest_equal(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE]) {
    return sodium_memcmp(a, b, DIGEST_SIZE) == 0;
}

void random_bytes(void *ret, size_t n) {
    char *p = ret;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR) {
            /* Guessable "random" bytes would be worse than none. */
            perror("capsule: the kernel gives no random bytes");
            abort();
        }
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

void random_stream(const uint8_t seed[DIGEST_KEY_SIZE], uint64_t nonce, void *ret, size_t n) {
    uint8_t bytes[sizeof nonce];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(nonce >> (8 * i));
    crypto_stream_chacha20(ret, n, bytes, seed);
}
