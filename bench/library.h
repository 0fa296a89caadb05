/* What the programs that measure the library share: opening it, a run from its start to its end, memory of this process, and the choice of a mode. */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include "sample.h"
#include <capsule.h>
#include <string.h>

static inline capsule_runtime *open_runtime(void) {
    capsule_error e;
    capsule_runtime *rt = NULL;
    if (capsule_open(NULL, &rt, &e) != 0)
        fail("capsule_open", e.message);
    return rt;
}

/* journal: the folder where its runs are recorded; NULL: they aren't. */
static inline capsule_app *open_app(capsule_runtime *rt, const char *file, const char *journal) {
    capsule_error e;
    capsule_app *app = NULL;
    capsule_app_options options = {.journal = journal != NULL, .journal_dir = journal};
    if (capsule_app_open(rt, file, &options, &app, &e) != 0)
        fail(file, e.message);
    return app;
}

/* Milliseconds from before it's made until it has ended in that state; it's freed after that. */
static inline double run_once(capsule_app *app, const capsule_run_options *options, int expected) {
    capsule_error e;
    capsule_run *run = NULL;
    double start = now_ms();
    if (capsule_run_new(app, options, &run, &e) != 0)
        fail("capsule_run_new", e.message);
    if (capsule_run_wait(run, &e) != expected)
        fail("capsule_run_wait", capsule_run_envelope(run));
    double ms = now_ms() - start;
    capsule_run_free(run);
    return ms;
}

/* The sum of some lines of a file in /proc, in kB. */
static inline double proc_kb(const char *path, const char *const *names, size_t names_n) {
    FILE *f = fopen(path, "re");
    char line[256];
    double total = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *colon = strchr(line, ':');
        for (size_t i = 0; colon != NULL && i < names_n; i++)
            if (strlen(names[i]) == (size_t)(colon - line) && strncmp(line, names[i], strlen(names[i])) == 0)
                total += strtod(colon + 1, NULL);
    }
    if (f != NULL)
        fclose(f);
    return total;
}

/* Private memory of this process, in kB. */
static inline double private_kb(void) {
    static const char *const names[] = {"Private_Dirty", "Private_Clean"};
    return proc_kb("/proc/self/smaps_rollup", names, 2);
}

struct mode {
    const char *name;
    int arguments; /* at least so many */
    void (*measure)(char **arguments);
};

/* What main returns. */
static inline int measure_mode(const struct mode *modes, size_t modes_n, int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < modes_n; i++) {
        if (strcmp(argv[1], modes[i].name) == 0 && argc >= 2 + modes[i].arguments) {
            modes[i].measure(argv + 2);
            return 0;
        }
    }
    fprintf(stderr, "usage: %s MODE ARG…; see bench/run\n", argv[0]);
    return 2;
}

#endif
