/* What hostile.c can be told to do, shared by it and test_sandbox*.c. */
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
    REPLY_RAW,   /* a: address, b: size of the reply */
    SUBMIT_BYTE, /* a: the operation's body, one byte */
    WAIT_TWO,    /* a, b: operations, c: timeout */
    TAKE_BYTES, /* a: operation, b: capacity; replies size << 56 | a hash of the bytes, or as op_take what isn't there or doesn't fit */
    CLOCK,      /* a: its number */
    CLOCK_MANY, /* a: how often; replies a hash of what the monotonic clock said */
    RANDOM,     /* replies 8 bytes */
    SCRIPT,     /* a: number of orders that follow; replies the results of all */
};

enum { SCRIPT_MAX = 256 };

/* The body of a message to `attack`; its reply's body is one i64, of a script one for each of its orders. */
struct order {
    uint32_t what,
        from; /* in a script, bits: 1: a is the number of an order before, whose result is meant; 2: b is */
    uint64_t a, b, c;
};

#endif
