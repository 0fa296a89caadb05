/* The scheduler on the real Python guest: that tasks run on several threads, that every task's life is told in order whatever ends it, and that nothing
 * of a run is left over. Run under the thread sanitizer as well. */
#include "tests/unit/program_world.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after its prerequisites */
#include <cmocka.h>

static const char program[] =
    "import asyncio, time\n"
    "from capsule import TaskError, task\n"
    "\n"
    "@task\n"
    "def echo(value):\n"
    "    return value\n"
    "\n"
    "@task(compute='HIGH')\n"
    "def spins(n):\n"
    "    for i in range(n): pass\n"
    "    return n\n"
    "\n"
    "@task(compute='HIGH')\n"
    "def spins_forever():\n"
    "    while True: pass\n"
    "\n"
    "@task(timeout='100ms', max_retries=1)\n"
    "def too_slow():\n"
    "    list(map(sleeps.start, [60] * 3))\n"
    "    time.sleep(60)\n"
    "\n"
    "@task\n"
    "def sleeps(seconds):\n"
    "    time.sleep(seconds)\n"
    "    return seconds\n"
    "\n"
    "@task(max_retries=0)\n"
    "def fails_sometimes(i):\n"
    "    if i % 3 == 0: raise ValueError(i)\n"
    "    return i\n"
    "\n"
    "@task(max_retries=1000)\n"
    "def fails_always():\n"
    "    raise ValueError('no')\n"
    "\n"
    "@task\n"
    "def tree(depth):\n"
    "    return 1 + sum(tree.map([depth - 1] * 3)) if depth else 1\n"
    "\n"
    "@task\n"
    "def chain(n):\n"
    "    return chain(n - 1) + 1 if n else 0\n"
    "\n"
    "@task\n"
    "def parallel(n):\n"
    "    return sum(spins.map([n] * 4))\n"
    "\n"
    "@task\n"
    "def many(n):\n"
    "    ends = fails_sometimes.map(range(n), return_exceptions=True)\n"
    "    return sum(isinstance(e, TaskError) for e in ends)\n"
    "\n"
    "@task\n"
    "def busy_neighbour():\n"
    "    other = spins_forever.start()\n"
    "    return sum(echo.map(range(20)))\n"
    "\n"
    "@task\n"
    "def forgets():\n"
    "    for _ in range(50): sleeps.start(60)\n"
    "    spins_forever.start()\n"
    "    fails_always.start()\n"
    "    return 'done'\n"
    "\n"
    "@task\n"
    "def sleepers(n, seconds):\n"
    "    return len(sleeps.map([seconds] * n))\n"
    "\n"
    "@task\n"
    "def slow_child():\n"
    "    try: too_slow()\n"
    "    except TaskError as e: return e.type\n"
    "\n"
    "@task\n"
    "def cancels():\n"
    "    handles = [sleeps.start(60), spins_forever.start(), fails_always.start(), too_slow.start()]\n"
    "    time.sleep(0.15)\n"
    "    seen = []\n"
    "    for h in handles:\n"
    "        h.cancel()\n"
    "        try: h.result()\n"
    "        except TaskError as e: seen.append(e.type)\n"
    "    return seen\n"
    "\n"
    "@task\n"
    "def cancels_failing(n):\n"
    "    seen = set()\n"
    "    for i in range(n):\n"
    "        h = fails_always.start()\n"
    "        time.sleep(i % 400 / 200000)\n"
    "        h.cancel()\n"
    "        try: h.result()\n"
    "        except TaskError as e: seen.add(e.type)\n"
    "    return sorted(seen)\n"
    "\n"
    "@task\n"
    "def storm():\n"
    "    for _ in range(40):\n"
    "        tree.start(3); sleeps.start(60); fails_always.start(); spins_forever.start(); too_slow.start()\n"
    "    time.sleep(60)\n";

static struct program_world world;

/* ---- a recorder that holds every task to its states ---- */

enum { TASKS_MAX = 32768 };

/* A debug build compares each reset slot with its image, 12 MB, which under a sanitizer takes as long as a hundred tasks. */
#ifdef CAPSULE_DEBUG
enum { MANY = 300, TREE_DEPTH = 3, STORMS = 5 };
#else
enum { MANY = 10000, TREE_DEPTH = 5, STORMS = 30 };
#endif

struct recorder {
    capsule_state state[TASKS_MAX];
    uint32_t parent[TASKS_MAX], children[TASKS_MAX]; /* children: that haven't ended */
    bool known[TASKS_MAX];
    uint32_t tasks, live, retries, events, cancel_at; /* cancel_at: event after which the run is cancelled */
    pthread_t threads[64];
    unsigned threads_n;
    atomic_int inside;
    const char *broken;
    capsule_run *run;
};

static bool has_ended(capsule_state s) {
    return s >= CAPSULE_COMPLETED;
}

static void note_thread(struct recorder *r) {
    for (unsigned i = 0; i < r->threads_n; i++) {
        if (pthread_equal(r->threads[i], pthread_self()))
            return;
    }
    if (r->threads_n < 64)
        r->threads[r->threads_n++] = pthread_self();
}

static const char *judge(struct recorder *r, const capsule_event *e) {
    uint32_t id = e->task_id, parent = e->parent_id;
    if (id == 0 || id >= TASKS_MAX)
        return "a task's number";
    if (e->kind == CAPSULE_EVENT_RETRY) {
        r->retries++;
        return r->children[id] > 0 ? "a retry with live children" : NULL;
    }
    if (e->state == CAPSULE_CREATED) {
        if (r->known[id])
            return "created twice";
        if (parent != 0 && (!r->known[parent] || has_ended(r->state[parent])))
            return "a child of a task that has ended";
        r->known[id] = true;
        r->parent[id] = parent;
        r->children[parent]++;
        r->tasks++;
        r->live++;
    } else if (!r->known[id] || has_ended(r->state[id])) {
        return "an event of a task that isn't alive";
    }
    r->state[id] = e->state;
    if (has_ended(e->state)) {
        r->live--;
        r->children[r->parent[id]]--;
        return r->children[id] > 0 ? "it ended before its children" : NULL;
    }
    return NULL;
}

static void record(void *user, const capsule_event *e) {
    struct recorder *r = user;
    if (atomic_fetch_add(&r->inside, 1) != 0)
        r->broken = "two events at once";
    note_thread(r);
    if (e->kind == CAPSULE_EVENT_STATE || e->kind == CAPSULE_EVENT_RETRY) {
        const char *broken = judge(r, e);
        if (broken != NULL && r->broken == NULL)
            r->broken = broken;
    }
    if (++r->events == r->cancel_at)
        capsule_run_cancel(r->run);
    atomic_fetch_sub(&r->inside, 1);
}

/* Runs a task and checks what must hold for every run. The recorder is the caller's to free. */
static struct recorder *execute(const char *task, const char *args, uint32_t cancel_at, uint64_t timeout,
                                int expected, const char *result) {
    struct recorder *r = calloc(1, sizeof *r);
    capsule_run *run = program_run(
        &world, &(capsule_run_options){
                    .task = task, .args_json = args, .timeout = timeout, .on_event = record, .user = r});
    r->run = run;
    r->cancel_at = cancel_at;
    int state = program_wait(run);
    if (state != expected)
        fail_msg("%s: %s", task, capsule_run_envelope(run));
    if (result != NULL)
        assert_string_equal(capsule_run_result(run), result);
    capsule_run_free(run);
    if (r->broken != NULL)
        fail_msg("%s: %s", task, r->broken);
    assert_int_equal(r->live, 0);
    return r;
}

static void check(const char *task, const char *args, const char *result) {
    free(execute(task, args, 0, 0, CAPSULE_COMPLETED, result));
}

static int set_up(void **state) {
    (void)state;
    program_open(&world, program, &(capsule_runtime_options){.jobs = 4});
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    program_close(&world);
    return 0;
}

/* ---- tests ---- */

static void test_tasks_run_on_several_threads(void **state) {
    (void)state;
    struct recorder *r = execute("parallel", "[300000]", 0, 0, CAPSULE_COMPLETED, "1200000");
    assert_true(r->threads_n > 1 && r->threads_n <= 4);
    free(r);
}

static void test_every_third_of_many_fails(void **state) {
    (void)state;
    char args[32], failed[32];
    snprintf(args, sizeof args, "[%d]", MANY);
    snprintf(failed, sizeof failed, "%d", (MANY + 2) / 3);
    struct recorder *r = execute("many", args, 0, 0, CAPSULE_COMPLETED, failed);
    assert_int_equal(r->tasks, MANY + 1);
    free(r);
}

static void test_trees(void **state) {
    (void)state;
    check("tree", TREE_DEPTH == 5 ? "[5]" : "[3]", TREE_DEPTH == 5 ? "364" : "40");
    check("chain", "[100]", "100");
}

static void test_an_endless_loop_lets_others_run(void **state) {
    (void)state;
    check("busy_neighbour", NULL, "190");
}

static void test_a_parent_that_forgets_its_handles(void **state) {
    (void)state;
    struct recorder *r = execute("forgets", NULL, 0, 0, CAPSULE_COMPLETED, "\"done\"");
    assert_int_equal(r->tasks, 53);
    free(r);
}

static void test_a_timeout_ends_children_and_retries(void **state) {
    (void)state;
    struct recorder *r = execute("slow_child", NULL, 0, 0, CAPSULE_COMPLETED, "\"timeout\"");
    assert_int_equal(r->retries, 1);
    assert_int_equal(r->tasks, 8); /* two attempts with three children each */
    free(r);
}

static void test_handles_are_cancelled(void **state) {
    (void)state;
    check("cancels", NULL, "[\"cancelled\",\"cancelled\",\"cancelled\",\"cancelled\"]");
}

/* Also at the moment when an attempt fails: that there is no other one is the cancellation's doing. */
static void test_cancelled_while_failing(void **state) {
    (void)state;
    check("cancels_failing", MANY > 1000 ? "[2000]" : "[30]", "[\"cancelled\"]");
}

static void test_timeout_of_the_run(void **state) {
    (void)state;
    struct recorder *r = execute("storm", NULL, 0, 200000000, CAPSULE_TIMED_OUT, NULL);
    assert_true(r->tasks > 10);
    free(r);
}

/* Cancelled after the first event, the second, … and then in bigger steps. */
static void test_cancel_at_any_time(void **state) {
    (void)state;
    uint32_t at = 1;
    for (int i = 0; i < STORMS; i++, at += 1 + at / 4)
        free(execute("storm", NULL, at, 0, CAPSULE_CANCELLED, NULL));
}

static void *run_storms(void *failures) {
    for (int i = 0; i < 2; i++) {
        capsule_error error = {0};
        capsule_run *run = NULL;
        if (capsule_run_new(world.app, &(capsule_run_options){.task = i % 2 ? "tree" : "many", .args_json = "[3]"},
                            &run, &error) != 0 ||
            capsule_run_wait(run, &error) != CAPSULE_COMPLETED)
            atomic_fetch_add((atomic_int *)failures, 1);
        capsule_run_free(run);
    }
    return NULL;
}

static void test_runs_share_the_helpers(void **state) {
    (void)state;
    pthread_t threads[8];
    atomic_int failures = 0;
    program_restore_traps(&world);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_storms, &failures), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
}

/* ---- few sandboxes ---- */

static int set_up_small(void **state) {
    (void)state;
    program_open(&world, program, &(capsule_runtime_options){.jobs = 2, .max_sandboxes = 5});
    return 0;
}

static void test_tasks_wait_for_a_sandbox(void **state) {
    (void)state;
    check("sleepers", "[40, 0.01]", "40");
    check("many", "[30]", "10");
}

/* Five that wait for a sixth: nothing can ever go on, which is an error and no deadlock. */
static void test_no_sandbox_left(void **state) {
    (void)state;
    capsule_run *run = program_run(&world, &(capsule_run_options){.task = "chain", .args_json = "[5]"});
    assert_int_equal(program_wait(run), CAPSULE_FAILED);
    assert_non_null(strstr(capsule_run_error_message(run), "5 sandboxes are alive, which is the limit"));
    capsule_run_free(run);
    check("chain", "[4]", "4");
}

static int set_up_single(void **state) {
    (void)state;
    program_open(&world, program, &(capsule_runtime_options){.jobs = 1});
    return 0;
}

static void test_one_thread_is_enough(void **state) {
    (void)state;
    struct recorder *r = execute("parallel", "[1000]", 0, 0, CAPSULE_COMPLETED, "4000");
    assert_int_equal(r->threads_n, 1);
    free(r);
    check("busy_neighbour", NULL, "190");
    check("forgets", NULL, "\"done\"");
}

int main(void) {
    const struct CMUnitTest usual[] = {
        cmocka_unit_test(test_tasks_run_on_several_threads),
        cmocka_unit_test(test_every_third_of_many_fails),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_an_endless_loop_lets_others_run),
        cmocka_unit_test(test_a_parent_that_forgets_its_handles),
        cmocka_unit_test(test_a_timeout_ends_children_and_retries),
        cmocka_unit_test(test_handles_are_cancelled),
        cmocka_unit_test(test_cancelled_while_failing),
        cmocka_unit_test(test_timeout_of_the_run),
        cmocka_unit_test(test_cancel_at_any_time),
        cmocka_unit_test(test_runs_share_the_helpers),
    };
    const struct CMUnitTest small[] = {
        cmocka_unit_test(test_tasks_wait_for_a_sandbox),
        cmocka_unit_test(test_no_sandbox_left),
    };
    const struct CMUnitTest single[] = {
        cmocka_unit_test(test_one_thread_is_enough),
    };
    return cmocka_run_group_tests(usual, set_up, tear_down) +
           cmocka_run_group_tests(small, set_up_small, tear_down) +
           cmocka_run_group_tests(single, set_up_single, tear_down);
}
