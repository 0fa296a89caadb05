/* Buffers: growth, maximum, what stays after a refusal; whole files. */
#define _GNU_SOURCE 1
#include "unit.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "base/file.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void grows_and_terminates(void **state) {
    (void)state;
    struct buffer b = BUFFER_INIT(100000);
    assert_string_equal(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buffer_printf(&b, "%d,", i), 0);
        assert_int_equal(strlen(b.data), b.size);
    }
    assert_int_equal(buffer_append(&b, "a\0b", 3), 0);
    assert_int_equal(buffer_putc(&b, 'c'), 0);
    assert_int_equal(buffer_puts(&b, ""), 0);
    assert_memory_equal(b.data + b.size - 4, "a\0bc", 5);
    buffer_done(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 100000);
}

static void holds_its_maximum(void **state) {
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buffer b = BUFFER_INIT(max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buffer_putc(&b, 'x'), 0);
        assert_int_equal(buffer_putc(&b, 'y'), ERROR_LIMIT);
        assert_int_equal(buffer_puts(&b, "long"), ERROR_LIMIT);
        assert_int_equal(buffer_printf(&b, "%s", "long"), ERROR_LIMIT);
        assert_null(buffer_reserve(&b, 1));
        assert_int_equal(b.size, max);
        assert_int_equal(strlen(buffer_text(&b)), max);
        buffer_done(&b);
    }
}

static void refuses_sizes_that_overflow(void **state) {
    (void)state;
    struct buffer b = BUFFER_INIT(1000);
    assert_int_equal(buffer_putc(&b, 'x'), 0);
    assert_null(buffer_reserve(&b, SIZE_MAX));
    assert_null(buffer_reserve(&b, SIZE_MAX - 1));
    assert_string_equal(b.data, "x");
    buffer_done(&b);
    struct buffer endless = BUFFER_INIT(SIZE_MAX);
    assert_null(buffer_reserve(&endless, SIZE_MAX));
}

static void hands_its_memory_over(void **state) {
    (void)state;
    struct buffer b = BUFFER_INIT(10);
    char *empty = buffer_take(&b);
    assert_string_equal(empty, "");
    free(empty);
    assert_int_equal(buffer_puts(&b, "abc"), 0);
    char *text = buffer_take(&b);
    assert_string_equal(text, "abc");
    assert_null(b.data);
    free(text);
    assert_int_equal(buffer_puts(&b, "def"), 0);
    buffer_clear(&b);
    assert_string_equal(b.data, "");
    assert_int_equal(b.size, 0);
    buffer_done(&b);
}

static void memory_that_runs_out_changes_nothing(void **state) {
    (void)state;
#ifdef CAPSULE_FAULTS
    struct buffer b = BUFFER_INIT(1000);
    assert_int_equal(buffer_puts(&b, "abc"), 0);
    fault_arm(1);
    char filler[500] = {0};
    assert_int_equal(buffer_append(&b, filler, sizeof filler), ERROR_NOMEM);
    fault_arm(0);
    assert_string_equal(b.data, "abc");
    assert_int_equal(b.size, 3);
    buffer_done(&b);
#else
    skip();
#endif
}

static int file_of(const void *bytes, size_t n) {
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(file_write(fd, bytes, n));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void reads_whole_files(void **state) {
    (void)state;
    static char bytes[3 * 4096 + 17];
    memset(bytes, 'z', sizeof bytes);
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, sizeof bytes};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        CLEANUP(cleanup_close) int fd = file_of(bytes, sizes[i]);
        CLEANUP(buffer_done) struct buffer whole = BUFFER_INIT(sizes[i]);
        assert_int_equal(file_read(fd, &whole), 0);
        assert_int_equal(whole.size, sizes[i]);
        assert_int_equal(strlen(buffer_text(&whole)), sizes[i]);
        if (sizes[i] == 0)
            continue;
        CLEANUP(buffer_done) struct buffer small = BUFFER_INIT(sizes[i] - 1);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(file_read(fd, &small), ERROR_LIMIT);
    }
    CLEANUP(buffer_done) struct buffer none = BUFFER_INIT(10);
    assert_int_equal(file_read(-1, &none), ERROR_IO);
    assert_false(file_write(-1, "x", 1));
    assert_true(file_write(-1, "", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_terminates),
        cmocka_unit_test(holds_its_maximum),
        cmocka_unit_test(refuses_sizes_that_overflow),
        cmocka_unit_test(hands_its_memory_over),
        cmocka_unit_test(memory_that_runs_out_changes_nothing),
        cmocka_unit_test(reads_whole_files),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
