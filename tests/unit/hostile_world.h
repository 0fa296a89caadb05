/* What tests of the sandbox share: an engine, the hostile guest (guest/hostile.c) compiled and its image, and short ways to drive it. Failures end the test. */
#ifndef TESTS_HOSTILE_WORLD_H
#define TESTS_HOSTILE_WORLD_H

#include "sandbox/sandbox.h"
#include "tests/unit/guest/hostile.h"

#define PLENTY_FUEL UINT64_C(1000000000000)
#define PLENTY_RAM UINT64_C(64000000)

/* Of the one process that a test file is. */
extern struct hostile {
    struct engine *engine;
    struct guest_module module;
    struct image *image;
    struct slot_pool slots;
} hostile;

/* Paths of the guest's module and memory: HOSTILE_CORE, HOSTILE_MEMORY. */
void hostile_open(const char *core, const char *memory);
void hostile_close(void);
void hostile_check(int r, const struct error *err);

/* For sandbox_open. Called in the test, since cmocka puts its own handlers of signals in place before each, and the engine's are needed. */
struct sandbox_options hostile_options(uint64_t fuel, uint64_t ram);
/* The order, or a script of them: order[0] is SCRIPT then. */
void hostile_begin(struct sandbox *sb, const struct order *orders, size_t n);
/* Until it has ended or is parked. */
enum sandbox_state hostile_run(struct sandbox *sb);
void hostile_complete(struct sandbox *sb, uint64_t op, const char *body, size_t body_n);

#endif
