/* The views of recorded runs: what every kind of event becomes, of runs in every state. */
#include "unit.h"

#include "base/clock.h"
#include "base/json.h"
#include "capsule.h"
#include "journal/inspect.h"
#include "scratch.h"
#include <stdlib.h>

#define BEGUN (UINT64_C(1764000000) * NS_PER_S) /* 2025-11-24T16:00:00Z */

struct world {
    char *folder, dir[256];
    struct journal *j;
    struct journal_run *run;
    struct json_document *view;
    uint64_t time;
};

static int make(void **state) {
    struct world *w = calloc(1, sizeof *w);
    w->folder = scratch_new();
    snprintf(w->dir, sizeof w->dir, "%s/.capsule", w->folder);
    w->time = BEGUN;
    struct error err;
    if (journal_open(w->dir, JOURNAL_CREATE, &w->j, &err) != 0)
        fail_msg("%s", err.message);
    *state = w;
    return 0;
}

static int drop(void **state) {
    struct world *w = *state;
    json_free(w->view);
    journal_run_close(w->run);
    journal_close(w->j);
    scratch_free(w->folder);
    free(w);
    return 0;
}

static void begin_run(struct world *w, const char *id) {
    const struct journal_begin begin = {
        .id = id, .entry = "main.py", .task = "main", .app = "{}", .app_n = 2, .image = "", .durable = true};
    struct error err = {0};
    bool exists = false;
    if (journal_run_new(w->j, &begin, false, NULL, &w->run, &exists, &err) != 0)
        fail_msg("%s", err.message);
}

static void close_run(struct world *w) {
    journal_run_close(w->run);
    w->run = NULL;
}

static struct event_text text(const char *t) {
    return (struct event_text){.bytes = t, .n = strlen(t)};
}

/* An event, a millisecond after the one before. */
static void add(struct world *w, struct event e) {
    w->time += NS_PER_MS;
    e.time = w->time;
    journal_append(w->run, &e, false);
}

/* A message of guest/abi.h. */
static struct event_text message(const char *header, const char *body) {
    static char bytes[1 << 20];
    const size_t n = strlen(header), body_n = strlen(body);
    assert_true(4 + n + body_n <= sizeof bytes);
    for (int i = 0; i < 4; i++)
        bytes[i] = (char)(n >> 8 * i);
    memcpy(bytes + 4, header, n);
    memcpy(bytes + 4 + n, body, body_n);
    return (struct event_text){.bytes = bytes, .n = 4 + n + body_n};
}

static void add_created(struct world *w, uint32_t task, uint32_t parent, const char *name) {
    add(w, (struct event){EVENT_CREATED, task, 0, {parent, task << 1}, {text(name), text("[[],{}]")}});
}

static void add_started(struct world *w, uint32_t task, uint32_t attempt) {
    add(w, (struct event){EVENT_STARTED, task, 0, {attempt}, {{0}}});
}

static void add_ended(struct world *w, uint32_t task, capsule_state state, const char *header, const char *body) {
    add(w, (struct event){EVENT_ENDED,
                          task,
                          0,
                          {state, 1, 478771, 16318464, 3 * NS_PER_MS + 1500},
                          {message(header, body), text("")}});
}

static void await(struct world *w, enum journal_state state, int final_state, uint64_t wake, const char *words) {
    struct error err = {0};
    const uint64_t position = journal_set_state(w->run, state, final_state, wake, words, NULL);
    if (journal_await(w->run, position, &err) != 0)
        fail_msg("%s", err.message);
}

static const json_value *view_of(struct world *w, const char *id) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(INSPECT_JSON_MAX);
    struct error err = {0};
    json_free(w->view);
    w->view = NULL;
    if (inspect_run(w->j, id, &b, &err) != 0 || json_parse(buffer_text(&b), b.size, &w->view, &err) != 0)
        fail_msg("%s\n%s", err.message, buffer_text(&b));
    return json_root(w->view);
}

/* A member of a member …: "tasks.0.retries.1.type". NULL if it isn't there. */
static const json_value *at(const json_value *v, const char *path) {
    char name[64];
    for (size_t n; *path != '\0'; path += n + (path[n] == '.')) {
        n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        v = name[0] >= '0' && name[0] <= '9' ? json_at(v, (size_t)strtoul(name, NULL, 10)) : json_get(v, name);
    }
    return v;
}

/* Compares a value as compact JSON; "-" for one that isn't there. */
static void expect(const json_value *v, const char *path, const char *json) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(1 << 20);
    const json_value *found = at(v, path);
    if (found == NULL)
        buffer_putc(&b, '-');
    else
        json_write(found, &b);
    if (strcmp(buffer_text(&b), json) != 0)
        fail_msg("%s is %s, not %s", path, buffer_text(&b), json);
}

struct expectation {
    const char *path, *json;
};

static void expect_all(const json_value *v, const struct expectation *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        expect(v, rows[i].path, rows[i].json);
}

/* ---- */

static void names_the_states_as_the_library_does(void **state) {
    (void)state;
    for (int s = CAPSULE_CREATED; s <= CAPSULE_SUSPENDED; s++)
        assert_string_equal(inspect_state_name(s), capsule_state_name((capsule_state)s));
    assert_string_equal(inspect_state_name(-1), "unknown");
    assert_string_equal(inspect_state_name(CAPSULE_SUSPENDED + 1), "unknown");
}

static void record_whole_run(struct world *w) {
    begin_run(w, "whole");
    add_created(w, 1, 0, "main");
    add_started(w, 1, 1);
    add_created(w, 2, 1, "price");
    add_created(w, 3, 1, "pri\"ce");
    add_started(w, 2, 1);
    add(w, (struct event){EVENT_REQUEST, 2, 0, {200, 2700000, 1500}, {text("GET"), text("https://x/?k=***")}});
    add(w, (struct event){EVENT_OUTPUT, 2, 0, {1}, {text("hello\n")}});
    add(w, (struct event){EVENT_OUTPUT, 2, 0, {2}, {text("oh")}});
    add(w, (struct event){EVENT_TAPE, 2, 0, {0}, {text("tape")}});
    add(w, (struct event){EVENT_RETRY, 2, 0, {1, 98700000}, {text("task_error"), text("ValueError: no")}});
    add_started(w, 2, 2);
    add_created(w, 4, 2, "leaf");
    add_started(w, 4, 1);
    add_ended(w, 4, CAPSULE_COMPLETED, "{\"ok\":true}", "1");
    add(w, (struct event){EVENT_ENDED,
                          2,
                          0,
                          {CAPSULE_COMPLETED, 2, 5, 6, 7000},
                          {message("{\"ok\":true}", "\"two\""), text("")}});
    add_started(w, 3, 1);
    add_ended(w, 3, CAPSULE_FAILED,
              "{\"ok\":false,\"error\":{\"type\":\"task_error\",\"class\":\"ValueError\",\"message\":\"bad\","
              "\"traceback\":\"T\",\"retry\":true}}",
              "");
    add_ended(w, 1, CAPSULE_COMPLETED, "{\"ok\":true,\"tagged\":false}", "{\"total\": 3}");
    await(w, JOURNAL_ENDED, CAPSULE_COMPLETED, 0, NULL);
    close_run(w);
}

static void tells_a_whole_run(void **state) {
    static const struct expectation rows[] = {
        {"run_id", "\"whole\""},
        {"entry", "\"main.py\""},
        {"task", "\"main\""},
        {"state", "\"completed\""},
        {"durable", "true"},
        {"pid", "null"},
        {"waits_for", "null"},
        {"wake", "null"},
        {"forked_from", "null"},
        {"error_type", "null"},
        {"error", "null"},
        {"resumed", "0"},
        {"waits", "[]"},
        {"signals", "[]"},
        {"result", "{\"total\":3}"},
        {"tasks.0.id", "1"},
        {"tasks.0.parent", "null"},
        {"tasks.0.key", "\"whole/1\""},
        {"tasks.0.state", "\"completed\""},
        {"tasks.0.created", "\"2025-11-24T16:00:00.001000Z\""},
        {"tasks.0.duration_ms", "3.001"},
        {"tasks.0.fuel", "478771"},
        {"tasks.0.ram", "16318464"},
        {"tasks.0.arguments_bytes", "7"},
        {"tasks.0.result_bytes", "12"},
        {"tasks.1.parent", "1"},
        {"tasks.1.key", "\"whole/1.1\""},
        {"tasks.1.attempts", "2"},
        {"tasks.1.starts", "2"},
        {"tasks.1.output_bytes", "8"},
        {"tasks.1.requests",
         "[{\"method\":\"GET\",\"url\":\"https://x/?k=***\",\"status\":200,\"duration_ms\":2.7,\"bytes\":1500}]"},
        {"tasks.1.retries",
         "[{\"attempt\":1,\"time\":\"2025-11-24T16:00:00.010000Z\",\"delay_ms\":98.7,\"type\":\"task_error\","
         "\"message\":\"ValueError: no\"}]"},
        {"tasks.2.name", "\"pri\\\"ce\""},
        {"tasks.2.key", "\"whole/1.2\""},
        {"tasks.2.state", "\"failed\""},
        {"tasks.2.error",
         "{\"type\":\"task_error\",\"class\":\"ValueError\",\"message\":\"bad\",\"traceback\":\"T\"}"},
        {"tasks.2.result_bytes", "0"},
        {"tasks.3.key", "\"whole/1.1.1\""},
        {"tasks.3.parent", "2"},
        {"tasks.4", "-"},
    };
    record_whole_run(*state);
    expect_all(view_of(*state, "whole"), rows, COUNT(rows));
}

static void tells_what_a_suspended_run_waits_for(void **state) {
    struct world *w = *state;
    struct error err = {0};
    begin_run(w, "waiting");
    add_created(w, 1, 0, "main");
    add_started(w, 1, 1);
    add_created(w, 2, 1, "other");
    add(w, (struct event){EVENT_WAIT, 1, 0, {1, EVENT_WAIT_SLEEP, BEGUN + NS_PER_S}, {text("")}});
    add(w, (struct event){EVENT_REPLY, 1, 0, {1}, {message("{\"ok\":true}", "")}});
    add(w, (struct event){EVENT_WAIT, 1, 0, {2, EVENT_WAIT_SIGNAL, 0}, {text("approval")}});
    assert_int_equal(journal_signal(w->j, "waiting", "approval", "{\"ok\":true}", 11, &err), 0);
    assert_int_equal(journal_signal(w->j, "waiting", "later", "1", 1, &err), 0);
    add(w, (struct event){EVENT_SIGNAL, 1, 0, {2, 1}, {{0}}});
    add(w, (struct event){EVENT_REPLY, 1, 0, {2}, {message("{\"ok\":true}", "{\"ok\":true}")}});
    add(w, (struct event){EVENT_WAIT, 1, 0, {3, EVENT_WAIT_SIGNAL, BEGUN + 60 * NS_PER_S}, {text("answer")}});
    add(w, (struct event){EVENT_SUSPENDED, 0, 0, {BEGUN + 60 * NS_PER_S}, {text("signal answer")}});
    await(w, JOURNAL_SUSPENDED, 0, BEGUN + 60 * NS_PER_S, "signal answer");
    close_run(w);
    static const struct expectation rows[] = {
        {"state", "\"suspended\""},
        {"suspended", "1"},
        {"waits_for", "\"signal answer\""},
        {"wake", "\"2025-11-24T16:01:00.000000Z\""},
        {"ended", "null"},
        {"duration_ms", "null"},
        {"result", "-"},
        {"waits", "[{\"task\":1,\"kind\":\"signal\",\"name\":\"answer\",\"since\":\"2025-11-24T16:00:00.009000Z\","
                  "\"until\":\"2025-11-24T16:01:00.000000Z\"}]"},
        {"tasks.0.state", "\"suspended\""},
        {"tasks.1.state", "\"created\""},
        {"tasks.0.fuel", "null"},
        {"tasks.0.waits.0.kind", "\"sleep\""},
        {"tasks.0.waits.0.ended", "\"2025-11-24T16:00:00.005000Z\""},
        {"tasks.0.waits.1.name", "\"approval\""},
        {"tasks.0.waits.1.until", "null"},
        {"tasks.0.waits.2.ended", "null"},
        {"tasks.0.waits.3", "-"},
        {"signals.0.name", "\"approval\""},
        {"signals.0.value", "{\"ok\":true}"},
        {"signals.0.value_bytes", "11"},
        {"signals.0.taken_by", "1"},
        {"signals.1.taken_by", "null"},
        {"signals.2", "-"},
    };
    expect_all(view_of(w, "waiting"), rows, COUNT(rows));
}

/* A process went on with an attempt: the wait that it tells again is the same one; a new attempt's is another. */
static void joins_what_is_told_again(void **state) {
    struct world *w = *state;
    begin_run(w, "again");
    add_created(w, 1, 0, "main");
    add_started(w, 1, 1);
    add(w, (struct event){EVENT_WAIT, 1, 0, {1, EVENT_WAIT_SIGNAL, 0}, {text("a")}});
    add(w, (struct event){EVENT_RESUMED, 0, 0, {4711}, {{0}}});
    add_started(w, 1, 1);
    add(w, (struct event){EVENT_WAIT, 1, 0, {1, EVENT_WAIT_SIGNAL, BEGUN}, {text("a")}});
    const json_value *v;
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    v = view_of(w, "again");
    expect(v, "state", "\"running\"");
    expect(v, "resumed", "1");
    expect(v, "tasks.0.state", "\"running\"");
    expect(v, "tasks.0.attempts", "1");
    expect(v, "tasks.0.starts", "2");
    expect(v, "tasks.0.waits.0.until", "\"2025-11-24T16:00:00.000000Z\"");
    expect(v, "tasks.0.waits.1", "-");
    add(w, (struct event){EVENT_RETRY, 1, 0, {1, 0}, {text("trap"), text("")}});
    add_started(w, 1, 2);
    add(w, (struct event){EVENT_WAIT, 1, 0, {1, EVENT_WAIT_SIGNAL, 0}, {text("a")}});
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    v = view_of(w, "again");
    expect(v, "tasks.0.waits.0.ended", "\"2025-11-24T16:00:00.007000Z\"");
    expect(v, "tasks.0.waits.1.ended", "null");
    expect(v, "waits.1", "-");
    assert_string_equal(json_text(at(v, "waits.0.name"), ""), "a");
}

static void reads_long_texts_where_they_matter(void **state) {
    struct world *w = *state;
    static char header[BLOB_MIN * 2], body[BLOB_MIN * 2];
    const size_t n = BLOB_MIN + 100;
    memset(body, 'x', n);
    body[0] = body[n - 1] = '"';
    snprintf(header, sizeof header, "{\"ok\":false,\"error\":{\"type\":\"trap\",\"message\":%.*s}}", (int)n, body);
    begin_run(w, "long");
    add_created(w, 1, 0, "main");
    add_started(w, 1, 1);
    add_created(w, 2, 1, "child");
    add_ended(w, 2, CAPSULE_COMPLETED, "{\"ok\":true}", body);
    add_created(w, 3, 1, "child");
    add_ended(w, 3, CAPSULE_FAILED, header, "");
    add_ended(w, 1, CAPSULE_COMPLETED, "{\"ok\":true}", body);
    await(w, JOURNAL_ENDED, CAPSULE_COMPLETED, 0, NULL);
    close_run(w);
    const json_value *v = view_of(w, "long");
    uint64_t size = 0;
    expect(v, "result", "-");
    assert_true(json_u64(at(v, "tasks.0.result_bytes"), &size) && size >= n);
    assert_true(json_u64(at(v, "tasks.1.result_bytes"), &size) && size >= n);
    assert_int_equal(strlen(json_text(at(v, "tasks.2.error.message"), "")), n - 2);
    expect(v, "tasks.2.error.type", "\"trap\"");
}

static void counts_what_it_does_not_list(void **state) {
    struct world *w = *state;
    begin_run(w, "many");
    add_created(w, 1, 0, "main");
    for (uint64_t i = 0; i < INSPECT_LISTED_MAX + 7; i++)
        add(w, (struct event){EVENT_REQUEST, 1, 0, {0, i, i}, {text("GET"), text("http://x/")}});
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    const json_value *v = view_of(w, "many");
    assert_int_equal(json_size(at(v, "tasks.0.requests")), INSPECT_LISTED_MAX);
    expect(v, "tasks.0.requests_omitted", "7");
    expect(v, "tasks.0.retries_omitted", "-");
}

/* Replies are what guests made, and are shown to whoever asks. */
static void survives_malformed_replies(void **state) {
    struct world *w = *state;
    static const char *const replies[] = {"", "abc", "\xff\xff\xff\xff{}", "\x02\0\0\0[]", "\x05\0\0\0{\"a\":"};
    begin_run(w, "odd");
    add_created(w, 1, 0, "main");
    for (uint32_t i = 0; i < COUNT(replies); i++) {
        const size_t n = i < 3 ? strlen(replies[i]) : 4 + strlen(replies[i] + 4);
        add_created(w, 2 + i, 1, "child");
        add(w, (struct event){EVENT_ENDED,
                              2 + i,
                              0,
                              {i % 2 ? CAPSULE_FAILED : 99, 1},
                              {{.bytes = replies[i], .n = n}, text("")}});
    }
    /* Of a task that isn't there, or that is there twice. */
    add_started(w, 999, 1);
    add_created(w, 2, 1, "again");
    add_created(w, 100, 77, "orphan");
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    const json_value *v = view_of(w, "odd");
    expect(v, "tasks.1.state", "\"unknown\"");
    expect(v, "tasks.1.name", "\"child\"");
    expect(v, "tasks.2.state", "\"failed\"");
    expect(v, "tasks.2.error", "null");
    expect(v, "tasks.6.id", "100");
    expect(v, "tasks.6.parent", "null");
    expect(v, "tasks.7", "-");
}

static void refuses_impossible_tasks(void **state) {
    struct world *w = *state;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(INSPECT_JSON_MAX);
    struct error err = {0};
    begin_run(w, "huge");
    add_created(w, INSPECT_TASKS_MAX, 0, "main");
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    assert_int_equal(inspect_run(w->j, "huge", &b, &err), ERROR_CORRUPT);
    assert_contains(err.message, "16777216");
    assert_int_equal(inspect_run(w->j, "nobody", &b, &err), ERROR_NOT_FOUND);
}

static void lists_runs(void **state) {
    struct world *w = *state;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(INSPECT_JSON_MAX);
    struct error err = {0};
    assert_int_equal(inspect_list(w->j, NULL, &b, &err), 0);
    assert_string_equal(buffer_text(&b), "[]");
    begin_run(w, "first");
    await(w, JOURNAL_ENDED, CAPSULE_TIMED_OUT, 0, NULL);
    close_run(w);
    begin_run(w, "second");
    await(w, JOURNAL_RUNNING, 0, 0, NULL);
    buffer_clear(&b);
    assert_int_equal(inspect_list(w->j, NULL, &b, &err), 0);
    assert_int_equal(json_parse(buffer_text(&b), b.size, &w->view, &err), 0);
    const json_value *v = json_root(w->view);
    static const struct expectation rows[] = {
        {"0.run_id", "\"second\""}, {"0.state", "\"running\""},   {"0.ended", "null"},
        {"1.run_id", "\"first\""},  {"1.state", "\"timed_out\""}, {"2", "-"},
    };
    expect_all(v, rows, COUNT(rows));
    uint64_t pid = 0;
    assert_true(json_u64(at(v, "0.pid"), &pid) && pid > 1);
    assert_int_equal(json_type(at(v, "1.duration_ms")), JSON_NUMBER);
    struct buffer small = BUFFER_INIT(100);
    assert_int_equal(inspect_list(w->j, NULL, &small, &err), ERROR_LIMIT);
    assert_contains(err.message, "the list of runs");
    buffer_done(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_states_as_the_library_does),
        cmocka_unit_test_setup_teardown(tells_a_whole_run, make, drop),
        cmocka_unit_test_setup_teardown(tells_what_a_suspended_run_waits_for, make, drop),
        cmocka_unit_test_setup_teardown(joins_what_is_told_again, make, drop),
        cmocka_unit_test_setup_teardown(reads_long_texts_where_they_matter, make, drop),
        cmocka_unit_test_setup_teardown(counts_what_it_does_not_list, make, drop),
        cmocka_unit_test_setup_teardown(survives_malformed_replies, make, drop),
        cmocka_unit_test_setup_teardown(refuses_impossible_tasks, make, drop),
        cmocka_unit_test_setup_teardown(lists_runs, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
