/* What hostile.c can be told to do, shared by it and test_sandbox.c. */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <stdint.h>

enum {
    SUBMIT,
    WAIT,
    TAKE,
    SPIN,
    SPIN_CALLS,
    GROW,
    RECURSE,
    ABORT,
    EXIT,
    PEEK,
    POKE,
    WRITE,
    SLEEP,
    SUBMIT_TEXT,
    WAIT_ONE,
    FUEL_LEFT,
    NEXT,
    NEXT_TWO, /* a: timeout; replies count << 60 | first id << 30 | second id, or the error */
    CANCEL,
    REPLY_RAW, /* a: address, b: size of the reply */
};

/* The body of a message to `attack`; its reply's body is one i64. */
struct order {
    uint32_t what, unused;
    uint64_t a, b, c;
};

#endif
