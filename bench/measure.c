/* Measures the library from C: `measure fresh|threads|process|edit|nested|memory|timeout ARG…` prints samples as JSON numbers in an array.
 * bench/run calls it and makes the table. Times in milliseconds unless said otherwise. */
#include <capsule.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "measure: %s: %s\n", what, why);
    exit(1);
}

static int number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || end == text || value < 1 || value > 1000000)
        fail(text, "isn't a number from 1 to 1,000,000");
    return (int)value;
}

static capsule_runtime *open_runtime(void) {
    capsule_error e;
    capsule_runtime *rt = NULL;
    if (capsule_open(NULL, &rt, &e) != 0)
        fail("capsule_open", e.message);
    return rt;
}

static capsule_app *open_app(capsule_runtime *rt, const char *file) {
    capsule_error e;
    capsule_app *app = NULL;
    if (capsule_app_open(rt, file, NULL, &app, &e) != 0)
        fail(file, e.message);
    return app;
}

static void run_once(capsule_app *app, const capsule_run_options *options, int expected) {
    capsule_error e;
    capsule_run *run = NULL;
    if (capsule_run_new(app, options, &run, &e) != 0)
        fail("capsule_run_new", e.message);
    if (capsule_run_wait(run, &e) != expected)
        fail("capsule_run_wait", capsule_run_envelope(run));
    capsule_run_free(run);
}

static void print_samples(const double *samples, int n) {
    for (int i = 0; i < n; i++)
        printf("%s%.6f", i == 0 ? "[" : ", ", samples[i]);
    puts("]");
}

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
    struct loop loop = {.app = open_app(rt, arguments[0]), .n = number(arguments[1])};
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
    capsule_app *app = open_app(rt, arguments[0]);
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

/* N FILE COMMAND…: each time just after FILE got another comment at its end. */
static void measure_edit(char **arguments) {
    int n = number(arguments[0]);
    double *samples = calloc((size_t)n, sizeof *samples);
    for (int i = 0; i < n; i++) {
        FILE *f = fopen(arguments[1], "a");
        if (f == NULL)
            fail(arguments[1], "can't be written");
        fprintf(f, "# edit %d\n", i);
        fclose(f);
        samples[i] = run_process(arguments + 2);
    }
    print_samples(samples, n);
    free(samples);
}

/* ---- nested calls, timeouts ---- */

/* FILE N ARGS: a task of FILE that does all the work. */
static void measure_call(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0]);
    int n = number(arguments[1]);
    double *samples = calloc((size_t)n, sizeof *samples);
    capsule_run_options options = {.args_json = arguments[2]};
    run_once(app, &options, CAPSULE_COMPLETED);
    for (int i = 0; i < n; i++) {
        double start = now_ms();
        run_once(app, &options, CAPSULE_COMPLETED);
        samples[i] = now_ms() - start;
    }
    print_samples(samples, n);
    free(samples);
    capsule_app_close(app);
    capsule_close(rt);
}

/* FILE N TIMEOUT_MS: how long after its timeout a busy loop has ended. */
static void measure_timeout(char **arguments) {
    capsule_runtime *rt = open_runtime();
    capsule_app *app = open_app(rt, arguments[0]);
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

/* Private memory of this process, in kB. */
static double private_kb(void) {
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    double total = 0, value;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "Private_Dirty: %lf", &value) == 1 || sscanf(line, "Private_Clean: %lf", &value) == 1)
            total += value;
    }
    if (f != NULL)
        fclose(f);
    return total;
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
    capsule_app *app = open_app(rt, arguments[0]);
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

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int arguments;
        void (*measure)(char **arguments);
    } modes[] = {
        {"fresh", 2, measure_fresh},   {"threads", 2, measure_threads}, {"process", 2, measure_process},
        {"edit", 3, measure_edit},     {"call", 3, measure_call},       {"timeout", 3, measure_timeout},
        {"memory", 2, measure_memory},
    };
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0 && argc >= 2 + modes[i].arguments) {
            modes[i].measure(argv + 2);
            return 0;
        }
    }
    fprintf(stderr, "usage: measure MODE ARG…; see bench/run\n");
    return 2;
}
