/* cmocka with what it needs before it, and the checks that most tests want. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include <stdio.h>
#include <string.h>

/* Fails, showing both, unless text contains part. */
static inline void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part)) {
        print_error("expected to find \"%s\" in \"%s\"\n", part, text);
        fail();
    }
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#endif
