/* Measures the library from C: `measure MODE ARG…` prints samples as JSON numbers in an array; the modes are at the end. bench/run calls it and
 * makes the table. Times in milliseconds unless said otherwise. */
#include "library.h"
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- fresh sandboxes ---- */

struct loop {
    capsule_app *app;
    int n;
    double *samples;
};

static void *call_repeatedly(void *argument) {
    const struct loop *loop = argument;
    capsule_run_options options = {.args_json = "[42]"};
    for (int i = 0; i < loop->n; i++) {
        double start = now_ms();
        run_once(loop->app, &options, CAPSULE_COMPLETED);
        loop->samples[i] = now_ms() - start;
    }
    return NULL;
}

/* Open, call a task that returns its argument, reset, close. */
static void measure_fresh(char **arguments) {
    capsule_runtime *rt = open_runtime();
    struct loop loop = {.app = open_app(rt, arguments[0], NULL), .n = number(arguments[1])};
    loop.samples = calloc((size_t)loop.n, sizeof *loop.samples);
    call_repeatedly(&loop);
    call_repeatedly(&loop);
    print_samples(loop.samples, loop.n);
    free(loop.samples);
    capsule_app_close(loop.app);
    capsule_close(rt);
}

static double rate(capsule_app *app, int threads, int n) {
    pthread_t ids[2];
    struct loop loops[2];
    for (int i = 0; i < threads; i++)
        loops[i] = (struct loop){.app = app, .n = n, .samples = calloc((size_t)n, sizeof(double))};
    double start = now_ms();
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, call_repeatedly, &loops[i]);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double seconds = (now_ms() - start) / 1e3;
    for (int i = 0; i < threads; i++)
        free(loops[i].samples);
    return threads * n / seconds;
}

/* Sandboxes per second on two threads over those on one, in rounds. */
static void measure_threads(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    int n = number(arguments[1]);
    double ratios[7];
    rate(app, 2, n);
    for (int i = 0; i < 7; i++) {
        double one = rate(app, 1, n);
        ratios[i] = rate(app, 2, n) / one;
    }
    print_samples(ratios, 7);
    capsule_app_close(app);
    capsule_close(rt);
}

/* ---- whole processes ---- */

static double run_process(char **command) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double start = now_ms();
    pid_t pid;
    int status;
    if (posix_spawn(&pid, command[0], &actions, NULL, command, environ) != 0)
        fail("posix_spawn", command[0]);
    waitpid(pid, &status, 0);
    double end = now_ms();
    posix_spawn_file_actions_destroy(&actions);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(command[0], "failed");
    return end - start;
}

/* N COMMAND… */
static void measure_process(char **arguments) {
    int n = number(arguments[0]);
    double *samples = calloc((size_t)n, sizeof *samples);
    run_process(arguments + 1);
    for (int i = 0; i < n; i++)
        samples[i] = run_process(arguments + 1);
    print_samples(samples, n);
    free(samples);
}

/* N FILE COMMAND…: each time just after FILE got another empty line at its end. */
static void measure_edit(char **arguments) {
    int n = number(arguments[0]);
    double *samples = calloc((size_t)n, sizeof *samples);
    for (int i = 0; i < n; i++) {
        FILE *f = fopen(arguments[1], "a");
        if (f == NULL)
            fail(arguments[1], "can't be written");
        fputc('\n', f);
        fclose(f);
        samples[i] = run_process(arguments + 2);
    }
    print_samples(samples, n);
    free(samples);
}

/* ---- nested calls, timeouts ---- */

static double time_call(capsule_app *app, const char *arguments) {
    capsule_run_options options = {.args_json = arguments};
    double start = now_ms();
    run_once(app, &options, CAPSULE_COMPLETED);
    return now_ms() - start;
}

/* FILE N ARGS: a task of FILE that does all the work. */
static void measure_call(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    int n = number(arguments[1]);
    double *samples = calloc((size_t)n, sizeof *samples);
    time_call(app, arguments[2]);
    for (int i = 0; i < n; i++)
        samples[i] = time_call(app, arguments[2]);
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* FILE N ARGS_A ARGS_B: how many times as long A takes as B, in pairs, so that a drifting machine doesn't matter. */
static void measure_ratio(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    int n = number(arguments[1]);
    double *samples = calloc((size_t)n, sizeof *samples);
    time_call(app, arguments[3]);
    for (int i = 0; i < n; i++) {
        double a = time_call(app, arguments[2]);
        samples[i] = a / time_call(app, arguments[3]);
    }
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* FILE N TIMEOUT_MS: how long after its timeout a busy loop has ended. */
static void measure_timeout(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    int n = number(arguments[1]);
    double timeout = number(arguments[2]), *samples = calloc((size_t)n, sizeof *samples);
    for (int i = 0; i < n; i++) {
        double start = now_ms();
        run_once(app, NULL, CAPSULE_TIMED_OUT);
        samples[i] = now_ms() - start - timeout;
    }
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* ---- memory ---- */

/* What this process takes of the machine, in kB: its pages, each counted once however often it's mapped (resident set size counts
 * a page of the image once for every sandbox that has read it), and the kernel's page tables for them. */
static double whole_kb(void) {
    static const char *const pages[] = {"Pss"}, *const tables[] = {"VmPTE"};
    return proc_kb("/proc/self/smaps_rollup", pages, 1) + proc_kb("/proc/self/status", tables, 1);
}

struct depth_memory {
    unsigned depth;
    double before, at_depth;
};

/* The deepest task writes a line; then all of its ancestors are live, parked sandboxes. */
static void on_event(void *user, const capsule_event *event) {
    struct depth_memory *m = user;
    if (event->kind == CAPSULE_EVENT_OUTPUT)
        m->at_depth = private_kb();
    else if (event->state == CAPSULE_RUNNING && event->parent_id == 0)
        m->before = private_kb();
}

/* FILE DEPTH: megabytes a live sandbox, from a chain of nested calls. */
static void measure_memory(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    struct depth_memory m = {.depth = (unsigned)number(arguments[1])};
    char text[32];
    snprintf(text, sizeof text, "[%u]", m.depth - 1);
    capsule_run_options options = {.args_json = text, .on_event = on_event, .user = &m};
    run_once(app, &options, CAPSULE_COMPLETED);
    double sample = (m.at_depth - m.before) / 1024 / m.depth;
    print_samples(&sample, 1);
    capsule_app_close(app);
    capsule_close(rt);
}

struct peak {
    atomic_bool over;
    double kb;
};

static void *watch_memory(void *user) {
    struct peak *peak = user;
    while (!atomic_load(&peak->over)) {
        double kb = whole_kb();
        peak->kb = kb > peak->kb ? kb : peak->kb;
        usleep(50 * 1000);
    }
    return NULL;
}

/* FILE ARGS: the most megabytes that the process had while it ran, looked at 20 times a second. */
static void measure_peak(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0], NULL);
    struct peak peak = {0};
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch_memory, &peak) != 0)
        fail("pthread_create", "no thread");
    time_call(app, arguments[1]);
    atomic_store(&peak.over, true);
    pthread_join(watcher, NULL);
    double sample = peak.kb * 1024 / 1e6;
    print_samples(&sample, 1);
    capsule_app_close(app);
    capsule_close(rt);
}

int main(int argc, char **argv) {
    static const struct mode modes[] = {
        {"fresh", 2, measure_fresh},   {"threads", 2, measure_threads}, {"process", 2, measure_process},
        {"edit", 3, measure_edit},     {"call", 3, measure_call},       {"timeout", 3, measure_timeout},
        {"memory", 2, measure_memory}, {"ratio", 4, measure_ratio},     {"peak", 2, measure_peak},
    };
    return measure_mode(modes, sizeof modes / sizeof modes[0], argc, argv);
}
