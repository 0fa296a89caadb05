#include "tests/unit/program_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after its prerequisites */
#include <cmocka.h>

static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE};

void program_open(struct program_world *world, const char *program, const capsule_runtime_options *options) {
    capsule_error error = {0};
    snprintf(world->dir, sizeof world->dir, "/tmp/capsule-unit-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->file, sizeof world->file, "%s/app.py", world->dir);
    FILE *f = fopen(world->file, "w");
    assert_non_null(f);
    fputs(program, f);
    fclose(f);
    if (capsule_open(options, &world->runtime, &error) != 0 ||
        capsule_app_open(world->runtime, world->file, NULL, &world->app, &error) != 0)
        fail_msg("%s (%s)", error.message, error.hint);
    for (int i = 0; i < 3; i++)
        sigaction(trap_signals[i], NULL, &world->on_trap[i]);
}

void program_close(struct program_world *world) {
    capsule_app_close(world->app);
    capsule_close(world->runtime);
    unlink(world->file);
    assert_int_equal(rmdir(world->dir), 0); /* nothing was left behind */
}

void program_restore_traps(const struct program_world *world) {
    for (int i = 0; i < 3; i++)
        sigaction(trap_signals[i], &world->on_trap[i], NULL);
}

capsule_run *program_run(const struct program_world *world, const capsule_run_options *options) {
    capsule_error error = {0};
    capsule_run *run = NULL;
    program_restore_traps(world);
    if (capsule_run_new(world->app, options, &run, &error) != 0)
        fail_msg("%s", error.message);
    return run;
}

int program_wait(capsule_run *run) {
    capsule_error error = {0};
    int r = capsule_run_wait(run, &error);
    if (r < 0)
        fail_msg("%s", error.message);
    return r;
}
