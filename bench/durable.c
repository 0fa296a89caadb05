/* Measures recorded runs from C: `durable MODE ARG…` prints samples as JSON numbers in an array; the modes are at the end. bench/run calls it and makes the
 * table. Times in milliseconds unless said otherwise. The journal lies in a folder that's given and should be new. */
#include "library.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* JOURNAL FILE N ARGS: by how many percent a run takes longer when it's recorded, in pairs, so that a drifting machine doesn't matter. */
static void measure_cost(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *recorded = open_app(rt, arguments[1], arguments[0]), *plain = open_app(rt, arguments[1], NULL);
    capsule_run_options options = {.args_json = arguments[3]};
    int n = number(arguments[2]);
    double *samples = calloc((size_t)n, sizeof *samples);
    run_once(recorded, &options, CAPSULE_COMPLETED);
    run_once(plain, &options, CAPSULE_COMPLETED);
    for (int i = 0; i < n; i++) {
        double with = run_once(recorded, &options, CAPSULE_COMPLETED);
        samples[i] = 100 * (with / run_once(plain, &options, CAPSULE_COMPLETED) - 1);
    }
    print_samples(samples, n);
    free(samples);
    capsule_app_close(plain);
    capsule_app_close(recorded);
    capsule_close(rt);
}

/* JOURNAL FILE TASK N ARGS: durable runs, from their start to their result. */
static void measure_run(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[1], arguments[0]);
    capsule_run_options options = {.task = arguments[2], .args_json = arguments[4], .durable = 1};
    int n = number(arguments[3]);
    double *samples = calloc((size_t)n, sizeof *samples);
    run_once(app, &options, CAPSULE_COMPLETED);
    for (int i = 0; i < n; i++)
        samples[i] = run_once(app, &options, CAPSULE_COMPLETED);
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* FOLDER N: what appending 4 KB to a file and syncing it takes. */
static void measure_sync(char **arguments) {
    char path[4096], page[4096] = {1};
    int n = number(arguments[1]);
    double *samples = calloc((size_t)n, sizeof *samples);
    snprintf(path, sizeof path, "%s/sync", arguments[0]);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < n; i++) {
        double start = now_ms();
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0)
            fail(path, "can't be written");
        samples[i] = now_ms() - start;
    }
    close(fd);
    unlink(path);
    print_samples(samples, n);
    free(samples);
}

static double resume_once(capsule_app *app, const char *id) {
    capsule_error e;
    capsule_run *run = NULL;
    double start = now_ms();
    if (capsule_run_resume(app, id, NULL, &run, &e) != 0)
        fail("capsule_run_resume", e.message);
    if (capsule_run_wait(run, &e) != CAPSULE_SUSPENDED)
        fail("capsule_run_wait", capsule_run_envelope(run));
    double ms = now_ms() - start;
    capsule_run_free(run);
    return ms;
}

/* JOURNAL FILE N ARGS: a suspended run is resumed until it's suspended again, at the same place. */
static void measure_resume(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[1], arguments[0]);
    capsule_run_options options = {.args_json = arguments[3], .run_id = "resumed"};
    int n = number(arguments[2]);
    double *samples = calloc((size_t)n, sizeof *samples);
    run_once(app, &options, CAPSULE_SUSPENDED);
    for (int i = 0; i < n; i++)
        samples[i] = resume_once(app, "resumed");
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* JOURNAL FILE N ARGS: private memory, in KB a run, that a process keeps of runs that it suspended. */
static void measure_suspended(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[1], arguments[0]);
    capsule_run_options options = {.args_json = arguments[3]};
    int n = number(arguments[2]);
    for (int i = 0; i < 100; i++)
        run_once(app, &options, CAPSULE_SUSPENDED);
    double before = private_kb();
    for (int i = 0; i < n; i++)
        run_once(app, &options, CAPSULE_SUSPENDED);
    double sample = (private_kb() - before) / n;
    print_samples(&sample, 1);
    capsule_app_close(app);
    capsule_close(rt);
}

int main(int argc, char **argv) {
    static const struct mode modes[] = {
        {"cost", 4, measure_cost},           {"run", 5, measure_run},
        {"sync", 2, measure_sync},           {"resume", 4, measure_resume},
        {"suspended", 4, measure_suspended},
    };
    return measure_mode(modes, sizeof modes / sizeof modes[0], argc, argv);
}
