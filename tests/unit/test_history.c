/* What is on record of a run, read back from a journal into memory: which attempt's replies and children count, what a damaged record gives. */
#include "base/fault.h"
#include "journal/history.h"
#include "journal_world.h"
#include "scratch.h"
#include "unit.h"
#include <stdlib.h>

static const uint64_t at = UINT64_C(1700000000000000000); /* of the first event; the others are a µs apart */

struct record {
    char *dir;
    struct journal *journal;
    struct journal_run *run;
    uint64_t time;
};

static int set_up(void **state) {
    struct record *r = calloc(1, sizeof *r);
    r->dir = scratch_new();
    r->journal = journal_world_open(r->dir, JOURNAL_CREATE);
    r->run = world_new(r->journal, "run", false, NULL);
    r->time = at;
    *state = r;
    return 0;
}

static int tear_down(void **state) {
    struct record *r = *state;
    journal_run_close(r->run);
    world_close(&r->journal);
    scratch_free(r->dir);
    free(r);
    return 0;
}

static void add(struct record *r, struct event e) {
    e.time = r->time;
    r->time += 1000;
    for (size_t i = 0; i < EVENT_TEXTS_MAX; i++) {
        if (e.texts[i].bytes != NULL && e.texts[i].n == 0)
            e.texts[i].n = strlen(e.texts[i].bytes);
    }
    (void)journal_append(r->run, &e, false);
}

#define TEXT(text) ((struct event_text){.bytes = (text)})

static void created(struct record *r, uint32_t task, uint32_t parent, uint32_t op) {
    char name[24];
    snprintf(name, sizeof name, "task%u", task);
    add(r, (struct event){.kind = EVENT_CREATED,
                          .task = task,
                          .numbers = {parent, op, task % 2},
                          .texts = {TEXT(name), TEXT("[[],{}]")}});
}

static void started(struct record *r, uint32_t task, uint32_t attempt) {
    add(r, (struct event){.kind = EVENT_STARTED, .task = task, .numbers = {attempt}, .texts = {TEXT("")}});
}

static void retry(struct record *r, uint32_t task, uint32_t attempt) {
    add(r, (struct event){.kind = EVENT_RETRY,
                          .task = task,
                          .numbers = {attempt, 5},
                          .texts = {TEXT("task_error"), TEXT("why")}});
}

static void ended(struct record *r, uint32_t task, const char *reply) {
    add(r, (struct event){.kind = EVENT_ENDED,
                          .task = task,
                          .numbers = {7, 2, 1000, 2000, 3000},
                          .texts = {TEXT(reply), TEXT("{\"url\":1}")}});
}

static void replied(struct record *r, uint32_t task, uint32_t op, const char *reply) {
    add(r, (struct event){.kind = EVENT_REPLY, .task = task, .numbers = {op}, .texts = {TEXT(reply)}});
}

static void waits(struct record *r, uint32_t task, uint32_t op, uint64_t until) {
    add(r,
        (struct event){
            .kind = EVENT_WAIT, .task = task, .numbers = {op, EVENT_WAIT_SIGNAL, until}, .texts = {TEXT("name")}});
}

static void taped(struct record *r, uint32_t task, const char *part) {
    add(r, (struct event){.kind = EVENT_TAPE, .task = task, .texts = {TEXT(part)}});
}

static void printed(struct record *r, uint32_t task, uint64_t stream, const char *text) {
    add(r, (struct event){.kind = EVENT_OUTPUT, .task = task, .numbers = {stream}, .texts = {TEXT(text)}});
}

static void of_run(struct record *r, enum event_kind kind) {
    add(r, (struct event){.kind = kind, .texts = {TEXT("it")}});
}

static void settle(struct record *r) {
    world_await(r->run, journal_set_state(r->run, JOURNAL_RUNNING, 0, 0, NULL, NULL));
}

static struct history *load(struct record *r) {
    struct history *h = NULL;
    struct error err = {0};
    settle(r);
    if (history_load(r->journal, "run", &h, &err) != 0)
        fail_msg("%s", err.message);
    return h;
}

static void text_is(const struct event_text *text, const char *expected) {
    assert_non_null(text);
    assert_false(text->in_blob);
    assert_int_equal(text->n, strlen(expected));
    assert_memory_equal(text->bytes, expected, strlen(expected));
}

/* ---- what is there ---- */

static void test_empty(void **state) {
    struct history *h = load(*state);
    assert_null(history_task(h, 0));
    assert_null(history_task(h, 1));
    assert_null(history_task(h, UINT32_MAX));
    assert_null(history_child(h, 1, 1, 1));
    assert_null(history_reply(h, 1, 1, 1));
    assert_null(history_wait(h, 1, 1, 1));
    assert_false(history_took(h, 0));
    assert_false(history_suspended(h));
    assert_int_equal(history_last_task(h), 0);
    history_free(h);
    history_free(NULL);
}

static void test_one_of_each(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    created(r, 2, 1, 70000);
    replied(r, 1, 2, "reply");
    replied(r, 1, 9, "");
    waits(r, 1, 3, 99);
    ended(r, 2, "result");
    struct history *h = load(r);
    const struct history_task *one = history_task(h, 1), *two = history_task(h, 2);
    assert_int_equal(history_last_task(h), 2);
    assert_string_equal(one->name, "task1");
    assert_true(one->tagged);
    text_is(&one->body, "[[],{}]");
    assert_int_equal(one->created, at);
    assert_int_equal(one->started, at + 1000);
    assert_int_equal(one->attempt, 1);
    assert_int_equal(one->children, 1);
    assert_int_equal(one->calls, 0);
    assert_true(one->in_flight && !one->ended);
    assert_string_equal(one->seen_as, "");
    assert_false(two->tagged || two->in_flight);
    assert_true(two->ended);
    assert_int_equal(two->parent, 1);
    assert_int_equal(two->op, 70000);
    assert_int_equal(two->parent_attempt, 1);
    assert_int_equal(two->state, 7);
    assert_int_equal(two->attempts, 2);
    assert_int_equal(two->fuel, 1000);
    assert_int_equal(two->ram, 2000);
    assert_int_equal(two->duration, 3000);
    text_is(&two->reply, "result");
    assert_string_equal(two->requests, "{\"url\":1}");
    assert_ptr_equal(history_child(h, 1, 1, 70000), two);
    text_is(history_reply(h, 1, 1, 2), "reply");
    text_is(history_reply(h, 1, 1, 9), "");
    const struct history_wait *wait = history_wait(h, 1, 1, 3);
    assert_int_equal(wait->kind, EVENT_WAIT_SIGNAL);
    assert_int_equal(wait->until, 99);
    assert_int_equal(wait->since, at + 5000);
    /* Each is found as what it is only, and of that attempt and task only. */
    assert_null(history_reply(h, 1, 1, 3));
    assert_null(history_wait(h, 1, 1, 2));
    assert_null(history_child(h, 1, 1, 2));
    assert_null(history_reply(h, 1, 2, 2));
    assert_null(history_reply(h, 2, 1, 2));
    assert_null(history_reply(h, 1, 0, 2));
    history_free(h);
}

static void test_a_wait_that_was_answered(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    waits(r, 1, 3, 0);
    add(r, (struct event){.kind = EVENT_SIGNAL, .task = 1, .numbers = {3, 17}});
    replied(r, 1, 3, "signal");
    struct history *h = load(r);
    assert_null(history_wait(h, 1, 1, 3));
    text_is(history_reply(h, 1, 1, 3), "signal");
    assert_true(history_took(h, 17));
    assert_false(history_took(h, 16));
    assert_false(history_took(h, 3));
    history_free(h);
}

/* Each attempt has its own replies and children; what the tape and the output are of is the last one. */
static void test_attempts(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    created(r, 2, 1, 5);
    replied(r, 1, 6, "first");
    waits(r, 1, 7, 1);
    taped(r, 1, "tape of the first");
    printed(r, 1, 1, "lost");
    retry(r, 1, 1);
    struct history *h = load(r);
    assert_false(history_task(h, 1)->in_flight);
    assert_int_equal(history_task(h, 1)->attempt, 1);
    history_free(h);
    started(r, 1, 2);
    created(r, 3, 1, 5);
    replied(r, 1, 6, "second");
    h = load(r);
    const struct history_task *one = history_task(h, 1);
    assert_true(one->in_flight);
    assert_int_equal(one->attempt, 2);
    assert_int_equal(one->calls, 1);
    assert_int_equal(one->children, 2);
    assert_int_equal(one->tape.size, 0);
    assert_int_equal(one->written[0], 0);
    assert_int_equal(history_child(h, 1, 2, 5)->id, 3);
    assert_int_equal(history_child(h, 1, 1, 5)->id, 2);
    assert_int_equal(history_task(h, 3)->parent_attempt, 2);
    text_is(history_reply(h, 1, 2, 6), "second");
    assert_null(history_wait(h, 1, 2, 7));
    history_free(h);
}

/* Output counts up to where the tape reaches: the rest is written again. */
static void test_output_and_tape(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    printed(r, 1, 1, "four");
    printed(r, 1, 2, "sixsix");
    taped(r, 1, "one,");
    printed(r, 1, 1, "more");
    taped(r, 1, "two,");
    printed(r, 1, 2, "!");
    struct history *h = load(r);
    const struct history_task *t = history_task(h, 1);
    assert_int_equal(t->tape.size, 8);
    assert_memory_equal(t->tape.data, "one,two,", 8);
    assert_int_equal(t->output[0], 8);
    assert_int_equal(t->output[1], 6);
    assert_int_equal(t->written[0], 8);
    assert_int_equal(t->written[1], 7);
    history_free(h);
    ended(r, 1, "done");
    h = load(r);
    assert_int_equal(history_task(h, 1)->tape.size, 0); /* nobody needs it */
    history_free(h);
}

static void test_suspended(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    static const struct {
        enum event_kind kind;
        bool suspended;
    } rows[] = {{EVENT_SUSPENDED, true}, {EVENT_RESUMED, false}, {EVENT_SUSPENDED, true}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        of_run(r, rows[i].kind);
        struct history *h = load(r);
        assert_int_equal(history_suspended(h), rows[i].suspended);
        history_free(h);
    }
    taped(r, 1, "x");
    struct history *h = load(r);
    assert_false(history_suspended(h));
    history_free(h);
}

static void test_a_fork_sees_itself_as_another(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    add(r, (struct event){.kind = EVENT_STARTED, .task = 1, .numbers = {1}, .texts = {TEXT("other-run")}});
    struct history *h = load(r);
    assert_string_equal(history_task(h, 1)->seen_as, "other-run");
    history_free(h);
    started(r, 1, 2);
    h = load(r);
    assert_string_equal(history_task(h, 1)->seen_as, "");
    history_free(h);
}

static void test_blobs(void **state) {
    struct record *r = *state;
    const size_t n = 3 * (size_t)BLOB_MIN;
    CLEANUP(cleanup_free) char *big = malloc(n + 1);
    memset(big, 'b', n);
    big[n] = '\0';
    add(r, (struct event){.kind = EVENT_CREATED, .task = 1, .texts = {TEXT("main"), {.bytes = big, .n = n}}});
    started(r, 1, 1);
    taped(r, 1, big);
    taped(r, 1, "tail");
    replied(r, 1, 4, big);
    struct history *h = load(r);
    const struct history_task *t = history_task(h, 1);
    const struct event_text *reply = history_reply(h, 1, 1, 4);
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(UINT32_MAX);
    assert_true(t->body.in_blob && reply->in_blob);
    assert_int_equal(t->tape.size, n + 4); /* whole, wherever its parts lie */
    assert_memory_equal(t->tape.data, big, n);
    assert_memory_equal(t->tape.data + n, "tail", 4);
    assert_int_equal(journal_text(r->journal, reply, &text, NULL), 0);
    assert_int_equal(text.size, n);
    history_free(h);
    add(r,
        (struct event){.kind = EVENT_ENDED, .task = 1, .texts = {{.bytes = big, .n = n}, {.bytes = big, .n = n}}});
    h = load(r);
    t = history_task(h, 1);
    assert_true(t->reply.in_blob);
    assert_int_equal(strlen(t->requests), n);
    history_free(h);
}

/* ---- what makes no sense ---- */

static void is_senseless(struct record *r, const char *kind) {
    struct history *h = NULL;
    struct error err = {0};
    settle(r);
    assert_int_equal(history_load(r->journal, "run", &h, &err), ERROR_CORRUPT);
    assert_null(h);
    assert_contains(err.message, "no sense");
    assert_contains(err.message, kind);
    assert_int_equal(history_load(r->journal, "run", &h, NULL), ERROR_CORRUPT);
}

static void test_a_task_created_twice(void **state) {
    created(*state, 1, 0, 0);
    created(*state, 1, 0, 0);
    is_senseless(*state, "created");
}
static void test_a_task_without_a_number(void **state) {
    created(*state, 0, 0, 0);
    is_senseless(*state, "created");
}
/* A number decides how much memory is asked for: it must follow from what is there. */
static void test_numbers_that_jump(void **state) {
    created(*state, 1, 0, 0);
    created(*state, UINT32_MAX, 1, 0);
    is_senseless(*state, "created");
}
static void test_a_huge_number(void **state) {
    created(*state, UINT32_C(0xAAAAAA81), 0, 0); /* half more of which is about 2^32 */
    is_senseless(*state, "created");
}
static void test_an_unknown_parent(void **state) {
    created(*state, 1, 7, 0);
    is_senseless(*state, "created");
}
static void test_its_own_parent(void **state) {
    created(*state, 1, 1, 0);
    is_senseless(*state, "created");
}
static void test_unknown_tasks(void **state) {
    created(*state, 1, 0, 0);
    started(*state, 2, 1);
    is_senseless(*state, "started");
}
static void test_a_reply_to_nobody(void **state) {
    replied(*state, UINT32_MAX, 1, "x");
    is_senseless(*state, "reply");
}

/* What is odd, but can't do harm, is read: the last one counts. */
static void test_what_comes_twice(void **state) {
    struct record *r = *state;
    created(r, 1, 0, 0);
    started(r, 1, 1);
    created(r, 2, 1, 5);
    replied(r, 1, 5, "in the child's place");
    replied(r, 1, 5, "again");
    waits(r, 1, 5, 1);
    waits(r, 1, 5, 2);
    replied(r, 1, 6, "x");
    created(r, 3, 1, 6);
    ended(r, 3, "first");
    ended(r, 3, "second");
    started(r, 3, UINT32_MAX);
    struct history *h = load(r);
    assert_int_equal(history_wait(h, 1, 1, 5)->until, 2);
    assert_null(history_reply(h, 1, 1, 5));
    assert_int_equal(history_child(h, 1, 1, 6)->id, 3);
    text_is(&history_task(h, 3)->reply, "second");
    history_free(h);
}

static void test_no_such_run(void **state) {
    struct record *r = *state;
    struct history *h = NULL;
    struct error err = {0};
    assert_int_not_equal(history_load(r->journal, "none", &h, &err), 0);
    assert_null(h);
}

/* ---- size and memory ---- */

static void many(struct record *r, uint32_t tasks, uint32_t replies) {
    created(r, 1, 0, 0);
    started(r, 1, 1);
    for (uint32_t i = 2; i <= tasks; i++) {
        created(r, i, 1, i * 16384);
        started(r, i, 1);
        ended(r, i, "ok");
    }
    for (uint32_t i = 0; i < replies; i++)
        replied(r, 1, i + 1, "reply");
}

/* 100,000 of them. What takes time by their square doesn't end in the time that a test has. */
static void test_many_events(void **state) {
    struct record *r = *state;
    many(r, 25000, 25000);
    struct history *h = load(r);
    assert_int_equal(history_last_task(h), 25000);
    for (uint32_t i = 2; i <= 25000; i++)
        assert_int_equal(history_child(h, 1, 1, i * 16384)->id, i);
    for (uint32_t i = 0; i < 25000; i++)
        assert_non_null(history_reply(h, 1, 1, i + 1));
    history_free(h);
}

#ifdef CAPSULE_FAULTS
static void test_no_memory(void **state) {
    struct record *r = *state;
    many(r, 70, 70);
    add(r, (struct event){.kind = EVENT_SIGNAL, .task = 1, .numbers = {3, 17}});
    taped(r, 1, "tape");
    settle(r);
    for (unsigned long n = 1;; n++) {
        struct history *h = NULL;
        struct error err = {0};
        fault_arm(n);
        int code = history_load(r->journal, "run", &h, &err);
        bool hit = fault_name()[0] != '\0', own = strncmp(fault_name(), "history.", 8) == 0;
        fault_arm(0);
        if (code == 0)
            history_free(h);
        if (!hit) {
            assert_int_equal(code, 0);
            break;
        }
        if (own)
            assert_int_equal(code, ERROR_NOMEM);
        assert_true(code == 0 || (h == NULL && err.message[0] != '\0'));
        assert_true(n < 10000);
    }
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_one_of_each),
        TEST(test_a_wait_that_was_answered),
        TEST(test_attempts),
        TEST(test_output_and_tape),
        TEST(test_suspended),
        TEST(test_a_fork_sees_itself_as_another),
        TEST(test_blobs),
        TEST(test_a_task_created_twice),
        TEST(test_a_task_without_a_number),
        TEST(test_numbers_that_jump),
        TEST(test_a_huge_number),
        TEST(test_an_unknown_parent),
        TEST(test_its_own_parent),
        TEST(test_unknown_tasks),
        TEST(test_a_reply_to_nobody),
        TEST(test_what_comes_twice),
        TEST(test_no_such_run),
        TEST(test_many_events),
#ifdef CAPSULE_FAULTS
        TEST(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
