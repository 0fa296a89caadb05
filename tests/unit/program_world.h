/* A runtime and one Python program, opened from a folder of its own, for tests of the library. Fails the test on errors. */
#ifndef TESTS_PROGRAM_WORLD_H
#define TESTS_PROGRAM_WORLD_H

#include "capsule.h"
#include <signal.h>

struct program_world {
    char dir[64], file[96];
    capsule_runtime *runtime;
    capsule_app *app;
    struct sigaction on_trap[3];
};

void program_open(struct program_world *world, const char *program, const capsule_runtime_options *options);
void program_close(struct program_world *world);
/* To be called before a guest runs: cmocka puts its own signal handlers in place before every test. */
void program_restore_traps(const struct program_world *world);
capsule_run *program_run(const struct program_world *world, const capsule_run_options *options);
/* capsule_run_wait, which must not fail. */
int program_wait(capsule_run *run);

#endif
