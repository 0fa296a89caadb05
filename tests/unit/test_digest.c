/* Digests against published vectors, random bytes, clocks, fault points. */
#include "unit.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include <stdlib.h>

static void agrees_with_published_vectors(void **state) {
    (void)state;
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(NULL, "", 0, digest);
    digest_hex(digest, hex);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    digest_bytes(NULL, "abc", 3, digest);
    digest_hex(digest, hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

/* Also across the size from which the library's vector code is used. */
static void is_the_same_in_pieces(void **state) {
    (void)state;
    const size_t n = 1 << 20;
    uint8_t *bytes = malloc(n), whole[DIGEST_SIZE], pieces[DIGEST_SIZE];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    uint8_t key[DIGEST_KEY_SIZE] = {1, 2, 3};
    struct digest_state s;
    digest_begin(&s, key);
    for (size_t i = 0; i < n; i += 4096)
        digest_update(&s, bytes + i, 4096);
    digest_end(&s, pieces);
    digest_bytes(key, bytes, n, whole);
    assert_true(digest_equal(whole, pieces));
    digest_bytes(NULL, bytes, n, pieces);
    assert_false(digest_equal(whole, pieces));
    key[31] ^= 1;
    digest_bytes(key, bytes, n, pieces);
    assert_false(digest_equal(whole, pieces));
    free(bytes);
}

static void gives_random_bytes(void **state) {
    (void)state;
    uint8_t a[1024] = {0}, b[1024] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_bytes(a, 0);
}

static void tells_the_time(void **state) {
    (void)state;
    uint64_t before = clock_monotonic_ns();
    assert_true(clock_monotonic_ns() >= before);
    assert_true(clock_wall_ns() > UINT64_C(1600000000) * NS_PER_S);
}

static void fails_at_the_armed_visit(void **state) {
    (void)state;
#ifdef CAPSULE_FAULTS
    fault_arm(3);
    assert_false(FAULT("a"));
    assert_false(FAULT("b"));
    assert_true(FAULT("c"));
    assert_false(FAULT("d"));
    assert_int_equal(fault_visits(), 4);
    fault_arm(0);
    assert_false(FAULT("a"));
    assert_int_equal(fault_visits(), 1);
#else
    assert_false(FAULT("a"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_published_vectors),
        cmocka_unit_test(is_the_same_in_pieces),
        cmocka_unit_test(gives_random_bytes),
        cmocka_unit_test(tells_the_time),
        cmocka_unit_test(fails_at_the_armed_visit),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
