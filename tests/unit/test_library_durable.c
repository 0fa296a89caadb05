/* Recorded runs through libcapsule's public header: suspended, signalled, resumed, left and forked by one process, with events. */
#include "tests/unit/program_world.h"
#include "unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char program[] = "import time\n"
                              "from capsule import context, sleep, task, wait_signal\n"
                              "\n"
                              "@task\n"
                              "def step(n):\n"
                              "    return n + 1\n"
                              "\n"
                              "@task\n"
                              "def main(n):\n"
                              "    print('begun', flush=True)\n"
                              "    first = step(n)\n"
                              "    answer = wait_signal('go')\n"
                              "    return [first, answer, step(first)]\n"
                              "\n"
                              "@task\n"
                              "def long():\n"
                              "    step(1)\n"
                              "    print('begun', flush=True)\n"
                              "    time.sleep(600)\n"
                              "\n"
                              "@task\n"
                              "def week():\n"
                              "    sleep('7d')\n";

static struct program_world world;
static capsule_app *app; /* world's program, its runs recorded */

struct seen {
    atomic_uint suspended, running, completed, output;
    char run_id[64];
    atomic_bool begun;
};

static void on_event(void *user, const capsule_event *event) {
    struct seen *seen = user;
    snprintf(seen->run_id, sizeof seen->run_id, "%s", event->run_id);
    seen->output += event->kind == CAPSULE_EVENT_OUTPUT;
    seen->begun = seen->begun || event->kind == CAPSULE_EVENT_OUTPUT;
    if (event->kind != CAPSULE_EVENT_STATE)
        return;
    seen->suspended += event->state == CAPSULE_SUSPENDED;
    seen->running += event->state == CAPSULE_RUNNING;
    seen->completed += event->state == CAPSULE_COMPLETED;
}

static int set_up(void **state) {
    (void)state;
    capsule_error e;
    program_open(&world, program, NULL);
    capsule_app_options options = {.journal = 1};
    if (capsule_app_open(world.runtime, world.file, &options, &app, &e) != 0)
        fail_msg("%s", e.message);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    capsule_app_close(app);
    snprintf(command, sizeof command, "rm -r '%s/.capsule'", world.dir);
    assert_int_equal(system(command), 0);
    program_close(&world);
    return 0;
}

static capsule_run *begin(const char *task, const char *id, const char *arguments, struct seen *seen) {
    capsule_error e;
    capsule_run *run = NULL;
    capsule_run_options options = {
        .task = task, .run_id = id, .args_json = arguments, .on_event = on_event, .user = seen};
    program_restore_traps(&world);
    if (capsule_run_new(app, &options, &run, &e) != 0)
        fail_msg("%s", e.message);
    return run;
}

static capsule_run *resume(const char *id, struct seen *seen) {
    capsule_error e;
    capsule_run *run = NULL;
    capsule_run_options options = {.on_event = on_event, .user = seen};
    program_restore_traps(&world);
    if (capsule_run_resume(app, id, &options, &run, &e) != 0)
        fail_msg("%s", e.message);
    return run;
}

static capsule_journal *open_journal(void) {
    capsule_error e;
    capsule_journal *journal = NULL;
    if (capsule_journal_open(world.dir, &journal, &e) != 0)
        fail_msg("%s", e.message);
    return journal;
}

static void suspended_signalled_resumed(void **state) {
    (void)state;
    capsule_error e;
    struct seen seen = {0}, later = {0};
    capsule_run *run = begin(NULL, "asked", "[1]", &seen);
    assert_int_equal(program_wait(run), CAPSULE_SUSPENDED);
    assert_string_equal(capsule_run_id(run), "asked");
    assert_string_equal(capsule_run_waits_for(run), "signal go");
    assert_null(capsule_run_result(run));
    assert_null(capsule_run_error_type(run));
    assert_contains(capsule_run_envelope(run), "\"state\":\"suspended\"");
    assert_true(seen.suspended == 1 && seen.running == 2 && seen.completed == 1 && seen.output > 0);
    assert_string_equal(seen.run_id, "asked");
    capsule_run_free(run);

    capsule_journal *journal = open_journal();
    assert_int_equal(capsule_journal_signal(journal, "asked", "go", "{\"ok\": tru", &e), CAPSULE_E_INVALID);
    assert_int_equal(capsule_journal_signal(journal, "asked", "go", "{\"ok\": true}", &e), 0);
    capsule_journal_close(journal);

    run = resume("asked", &later);
    assert_int_equal(capsule_run_had_ended(run), 0);
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(capsule_run_result(run), "[2,{\"ok\":true},3]");
    assert_null(capsule_run_waits_for(run));
    /* Of the step that had ended nothing is told again, nor is what was printed. */
    assert_true(later.completed == 2 && later.running == 2 && later.output == 0);
    capsule_run_free(run);

    run = resume("aske", &later);
    assert_int_equal(capsule_run_had_ended(run), 1);
    assert_int_equal(program_wait(run), CAPSULE_COMPLETED);
    assert_string_equal(capsule_run_result(run), "[2,{\"ok\":true},3]");
    capsule_run_free(run);
}

static void forked(void **state) {
    (void)state;
    capsule_error e;
    struct seen seen = {0};
    char *id = NULL;
    capsule_run *run = begin(NULL, "origin", "[10]", &seen);
    assert_int_equal(program_wait(run), CAPSULE_SUSPENDED);
    capsule_run_free(run);
    capsule_journal *journal = open_journal();
    assert_int_equal(capsule_journal_fork(journal, "origin", 99, &id, &e), CAPSULE_E_NOT_FOUND);
    assert_int_equal(capsule_journal_fork(journal, "origin", 2, &id, &e), 0);
    capsule_journal_close(journal);
    run = resume(id, &seen);
    assert_int_equal(program_wait(run), CAPSULE_SUSPENDED);
    capsule_run_free(run);
    capsule_free(id);
}

static void *leave_when_begun(void *argument) {
    void **both = argument;
    const struct seen *seen = both[1];
    while (!seen->begun)
        usleep(1000);
    capsule_run_leave(both[0]);
    return NULL;
}

static void left(void **state) {
    (void)state;
    capsule_error e;
    struct seen seen = {0}, later = {0};
    pthread_t thread;
    capsule_run *run = begin("long", "left", NULL, &seen);
    void *both[] = {run, &seen};
    pthread_create(&thread, NULL, leave_when_begun, both);
    assert_int_equal(program_wait(run), CAPSULE_INTERRUPTED);
    pthread_join(thread, NULL);
    /* It has its lease until it's freed. */
    capsule_run *other = NULL;
    assert_int_equal(capsule_run_resume(app, "left", NULL, &other, &e), CAPSULE_E_CANCELLED);
    assert_contains(e.message, "is being executed by process");
    capsule_run_free(run);
    run = resume("left", &later);
    capsule_run_cancel(run);
    assert_int_equal(program_wait(run), CAPSULE_CANCELLED);
    capsule_run_free(run);
    run = resume("left", &later);
    assert_int_equal(program_wait(run), CAPSULE_CANCELLED);
    capsule_run_free(run);
}

static void refuses(void **state) {
    (void)state;
    capsule_error e;
    struct seen seen = {0};
    capsule_run *run = begin("week", "twice", NULL, &seen), *other = NULL;
    assert_int_equal(program_wait(run), CAPSULE_SUSPENDED);
    assert_string_not_equal(capsule_run_waits_for(run), "");
    capsule_run_free(run);
    capsule_run_options again = {.run_id = "twice", .args_json = "[1]"};
    assert_int_equal(capsule_run_new(app, &again, &other, &e), CAPSULE_E_INVALID);
    assert_contains(e.message, "twice");
    assert_int_equal(capsule_run_resume(app, "nobody", NULL, &other, &e), CAPSULE_E_NOT_FOUND);
    assert_int_equal(capsule_run_resume(world.app, "twice", NULL, &other, &e), CAPSULE_E_INVALID);
    assert_null(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suspended_signalled_resumed),
        cmocka_unit_test(forked),
        cmocka_unit_test(left),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
