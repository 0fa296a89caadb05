/* libcapsule through its public header, on the real Python guest: runs, events, cancellation, limits, errors, many threads. */
#include "tests/unit/program_world.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after its prerequisites */
#include <cmocka.h>

static const char program[] = "import os, time\n"
                              "from capsule import task, TaskError\n"
                              "\n"
                              "@task\n"
                              "def echo(value):\n"
                              "    return value\n"
                              "\n"
                              "@task(max_retries=2)\n"
                              "def fails():\n"
                              "    raise ValueError('no')\n"
                              "\n"
                              "@task(compute='HIGH', timeout='80ms', max_retries=0)\n"
                              "def spins():\n"
                              "    while True: pass\n"
                              "\n"
                              "@task(compute='HIGH')\n"
                              "def spins_forever():\n"
                              "    while True: pass\n"
                              "\n"
                              "@task\n"
                              "def sleeps(seconds):\n"
                              "    print('asleep', flush=True)\n"
                              "    time.sleep(seconds)\n"
                              "    return seconds\n"
                              "\n"
                              "@task\n"
                              "def deeper(n):\n"
                              "    return 0 if n == 0 else deeper(n - 1) + 1\n"
                              "\n"
                              "@task\n"
                              "def endless(n):\n"
                              "    return endless(n + 1)\n"
                              "\n"
                              "@task\n"
                              "def catches():\n"
                              "    seen = []\n"
                              "    for child in (fails, spins):\n"
                              "        try:\n"
                              "            child()\n"
                              "        except TaskError as e:\n"
                              "            seen.append([e.type, e.execution['retries']])\n"
                              "    return seen\n"
                              "\n"
                              "@task\n"
                              "def main(a, b=2, *, c=3):\n"
                              "    print('out')\n"
                              "    return [a, b, c, echo({'x': [1, None, True]})]\n";

static struct program_world world;

static int set_up(void **state) {
    (void)state;
    program_open(&world, program, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    program_close(&world);
    return 0;
}

static capsule_run *new_run(const capsule_run_options *options) {
    return program_run(&world, options);
}

static void test_result(void **state) {
    (void)state;
    capsule_run *run =
        new_run(&(capsule_run_options){.args_json = "[\"ä\"]", .kwargs_json = "{\"c\": 18446744073709551616}"});
    assert_null(capsule_run_result(run));
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(capsule_run_result(run), "[\"ä\",2,18446744073709551616,{\"x\":[1,null,true]}]");
    assert_null(capsule_run_error_type(run));
    const char *envelope = capsule_run_envelope(run);
    assert_non_null(strstr(envelope, "\"success\":true"));
    assert_non_null(strstr(envelope, "\"error\":null"));
    assert_non_null(strstr(envelope, "\"state\":\"completed\""));
    assert_int_equal(capsule_run_wait(run, NULL), CAPSULE_E_INVALID);
    capsule_run_free(run);
}

struct seen {
    char text[2048];
    char output[256];
    int events;
    capsule_run *cancel; /* when something was written */
};

static void on_event(void *user, const capsule_event *event) {
    struct seen *seen = user;
    size_t n = strlen(seen->text);
    seen->events++;
    if (event->kind == CAPSULE_EVENT_OUTPUT) {
        snprintf(seen->output, sizeof seen->output, "%.*s", (int)event->bytes_n, event->bytes);
        if (seen->cancel != NULL)
            capsule_run_cancel(seen->cancel);
        return;
    }
    const char *what = event->kind == CAPSULE_EVENT_RETRY ? "retry" : capsule_state_name(event->state);
    if (n < sizeof seen->text)
        snprintf(seen->text + n, sizeof seen->text - n, "%u<%u %s %s %u\n", event->task_id, event->parent_id,
                 event->task_name, what, event->attempt);
}

static void test_events(void **state) {
    (void)state;
    struct seen seen = {0};
    capsule_run *run = new_run(&(capsule_run_options){.args_json = "[1]", .on_event = on_event, .user = &seen});
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(seen.text, "1<0 main created 0\n"
                                   "1<0 main running 1\n"
                                   "2<1 echo created 0\n"
                                   "2<1 echo running 1\n"
                                   "2<1 echo completed 1\n"
                                   "1<0 main completed 1\n");
    assert_string_equal(seen.output, "out\n");
    capsule_run_free(run);
}

static void test_retries(void **state) {
    (void)state;
    struct seen seen = {0};
    capsule_run *run = new_run(&(capsule_run_options){.task = "fails", .on_event = on_event, .user = &seen});
    assert_int_equal(program_wait(run), CAPSULE_FAILED);
    assert_string_equal(seen.text, "1<0 fails created 0\n"
                                   "1<0 fails running 1\n1<0 fails retry 1\n"
                                   "1<0 fails running 2\n1<0 fails retry 2\n"
                                   "1<0 fails running 3\n1<0 fails failed 3\n");
    assert_string_equal(capsule_run_error_type(run), "task_error");
    assert_string_equal(capsule_run_error_message(run), "no");
    assert_non_null(strstr(capsule_run_error_traceback(run), "File \"app.py\", line 10, in fails"));
    assert_non_null(strstr(capsule_run_envelope(run), "\"class\":\"ValueError\""));
    assert_non_null(strstr(capsule_run_envelope(run), "\"retries\":2"));
    capsule_run_free(run);
}

static void test_parent_survives_its_children(void **state) {
    (void)state;
    capsule_run *run = new_run(&(capsule_run_options){.task = "catches"});
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(capsule_run_result(run), "[[\"task_error\",2],[\"timeout\",0]]");
    capsule_run_free(run);
}

static void test_depth(void **state) {
    (void)state;
    capsule_run *run = new_run(&(capsule_run_options){.task = "deeper", .args_json = "[127]"});
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(capsule_run_result(run), "127");
    capsule_run_free(run);
}

/* A recursion without end meets the limit, and every level lets the error through without multiplying the retries. */
static void test_endless_recursion_ends(void **state) {
    (void)state;
    struct seen seen = {0};
    capsule_run *run = new_run(
        &(capsule_run_options){.task = "endless", .args_json = "[0]", .on_event = on_event, .user = &seen});
    assert_int_equal(program_wait(run), CAPSULE_FAILED);
    assert_non_null(strstr(capsule_run_error_message(run), "128"));
    assert_int_equal(seen.events, 128 * 3);
    capsule_run_free(run);
}

static void test_timeouts(void **state) {
    (void)state;
    capsule_run *run = new_run(&(capsule_run_options){.task = "spins"});
    assert_int_equal(program_wait(run), CAPSULE_TIMED_OUT);
    assert_string_equal(capsule_run_error_type(run), "timeout");
    capsule_run_free(run);
    /* the run's own */
    run = new_run(&(capsule_run_options){.task = "sleeps", .args_json = "[60]", .timeout = UINT64_C(50000000)});
    assert_int_equal(program_wait(run), CAPSULE_TIMED_OUT);
    capsule_run_free(run);
}

static void test_cancel_from_a_callback(void **state) {
    (void)state;
    struct seen seen = {0};
    capsule_run *run = new_run(
        &(capsule_run_options){.task = "sleeps", .args_json = "[60]", .on_event = on_event, .user = &seen});
    seen.cancel = run;
    assert_int_equal(program_wait(run), CAPSULE_CANCELLED);
    assert_string_equal(capsule_run_error_type(run), "cancelled");
    capsule_run_free(run);
}

static void test_cancel_before_it_runs(void **state) {
    (void)state;
    capsule_run *run = new_run(&(capsule_run_options){.args_json = "[1]"});
    capsule_run_cancel(run);
    capsule_run_cancel(run);
    assert_int_equal(program_wait(run), CAPSULE_CANCELLED);
    capsule_run_cancel(run);
    capsule_run_free(run);
}

static void *cancel_soon(void *run) {
    usleep(30000);
    capsule_run_cancel(run);
    return NULL;
}

static void test_cancel_from_another_thread(void **state) {
    (void)state;
    const char *tasks[] = {"spins_forever", "sleeps"}, *arguments[] = {"[]", "[60]"};
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        capsule_run *run = new_run(&(capsule_run_options){.task = tasks[i], .args_json = arguments[i]});
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, run), 0);
        assert_int_equal(program_wait(run), CAPSULE_CANCELLED);
        pthread_join(thread, NULL);
        capsule_run_free(run);
    }
}

static void test_bad_calls(void **state) {
    (void)state;
    capsule_run *run = NULL;
    capsule_error error;
    const struct {
        capsule_run_options options;
        int code;
        const char *message;
    } rows[] = {
        {{.task = "nope"}, CAPSULE_E_NOT_FOUND, "nope"},
        {{.args_json = "[1"}, CAPSULE_E_INVALID, "arguments"},
        {{.args_json = "{}"}, CAPSULE_E_INVALID, "array"},
        {{.args_json = "[NaN]"}, CAPSULE_E_INVALID, "arguments"},
        {{.kwargs_json = "[]"}, CAPSULE_E_INVALID, "object"},
        {{.run_id = ""}, CAPSULE_E_INVALID, "id"},
        {{.run_id = "a/b"}, CAPSULE_E_INVALID, "id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(capsule_run_new(world.app, &rows[i].options, &run, &error), rows[i].code);
        assert_non_null(strstr(error.message, rows[i].message));
        assert_null(run);
    }
}

static void test_wrong_arguments_are_the_tasks_failure(void **state) {
    (void)state;
    capsule_run *run = new_run(NULL);
    assert_int_equal(program_wait(run), CAPSULE_FAILED);
    assert_string_equal(capsule_run_error_type(run), "bad_input");
    assert_non_null(strstr(capsule_run_envelope(run), "\"retries\":0"));
    capsule_run_free(run);
}

static void *many_runs(void *failures) {
    for (int i = 0; i < 100; i++) {
        char arguments[32], expected[32];
        snprintf(arguments, sizeof arguments, "[%d]", i);
        snprintf(expected, sizeof expected, "%d", i);
        capsule_run *run = NULL;
        capsule_run_options options = {.task = "echo", .args_json = arguments};
        if (capsule_run_new(world.app, &options, &run, NULL) != 0 ||
            capsule_run_wait(run, NULL) != CAPSULE_COMPLETED || strcmp(capsule_run_result(run), expected) != 0)
            atomic_fetch_add((atomic_int *)failures, 1);
        capsule_run_free(run);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    atomic_int failures = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_runs, &failures), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
}

static void test_describe(void **state) {
    (void)state;
    const char *text = capsule_app_describe(world.app);
    assert_non_null(strstr(text, "\"entry\":\"app.py\""));
    assert_non_null(strstr(text, "{\"name\":\"spins\",\"where\":\"app.py:12\""));
    char *report = NULL;
    assert_int_equal(capsule_diagnose(world.runtime, &report, NULL), 0);
    assert_non_null(strstr(report, "\"ready\":true"));
    capsule_free(report);
}

static void test_missing_program(void **state) {
    (void)state;
    capsule_app *app = NULL;
    capsule_error error;
    assert_int_equal(capsule_app_open(world.runtime, "/nowhere/main.py", NULL, &app, &error), CAPSULE_E_PROJECT);
    assert_non_null(strstr(error.message, "/nowhere/main.py"));
    assert_null(app);
    assert_int_equal(
        capsule_open(&(capsule_runtime_options){.guest_dir = "/nowhere"}, &(capsule_runtime *){NULL}, &error),
        CAPSULE_E_UNSUPPORTED);
    assert_string_not_equal(error.hint, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_parent_survives_its_children),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_endless_recursion_ends),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_cancel_from_a_callback),
        cmocka_unit_test(test_cancel_before_it_runs),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_wrong_arguments_are_the_tasks_failure),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_missing_program),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
