/* See inspect.h. A run's view is made in one pass over its events, which fills a table of tasks, and one over that table, which writes it. */
#include "journal/inspect.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- names ---- */

/* run/journal_api.c asserts that they are capsule.h's. */
enum { STATE_CREATED, STATE_RUNNING, STATE_COMPLETED, STATE_FAILED, STATE_INTERRUPTED = 6, STATE_SUSPENDED = 7 };

const char *inspect_state_name(int state) {
    static const char *const names[] = {"created",   "running",   "completed",   "failed",
                                        "timed_out", "cancelled", "interrupted", "suspended"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *inspect_state(const struct journal_row *row) {
    if (row->state == JOURNAL_ENDED)
        return inspect_state_name(row->final_state);
    if (row->state == JOURNAL_SUSPENDED)
        return inspect_state_name(STATE_SUSPENDED);
    return inspect_state_name(row->alive ? STATE_RUNNING : STATE_INTERRUPTED);
}

/* ---- members of an object; each begins with a comma ---- */

/* Functions that append remember the first failure, so that it is asked for once, at the end. */
struct writer {
    struct buffer *to;
    int status;
};

static void put(struct writer *w, const char *text) {
    if (w->status == 0)
        w->status = buffer_puts(w->to, text);
}

static void put_string(struct writer *w, const char *text, size_t n) {
    if (w->status == 0)
        w->status = json_write_string(w->to, text, n);
}

static void put_key(struct writer *w, const char *key) {
    if (w->status == 0)
        w->status = buffer_printf(w->to, ",\"%s\":", key);
}

static void put_text(struct writer *w, const char *key, const char *text) {
    put_key(w, key);
    if (text != NULL)
        put_string(w, text, strlen(text));
    else
        put(w, "null");
}

static void put_number(struct writer *w, const char *key, uint64_t number) {
    if (w->status == 0)
        w->status = buffer_printf(w->to, ",\"%s\":%" PRIu64, key, number);
}

static void put_bool(struct writer *w, const char *key, bool value) {
    put_key(w, key);
    put(w, value ? "true" : "false");
}

/* Nanoseconds, told in milliseconds. */
static void put_duration(struct writer *w, const char *key, uint64_t ns) {
    if (w->status == 0)
        w->status = buffer_printf(w->to, ",\"%s\":%" PRIu64 ".%03" PRIu64, key, ns / 1000000, ns / 1000 % 1000);
}

static void put_null(struct writer *w, const char *key) {
    put_key(w, key);
    put(w, "null");
}

/* RFC 3339, UTC, to the microsecond; null for 0. */
static void put_time(struct writer *w, const char *key, uint64_t ns) {
    char text[48];
    struct tm parts;
    const time_t seconds = (time_t)(ns / NS_PER_S);
    if (ns == 0 || gmtime_r(&seconds, &parts) == NULL) {
        put_null(w, key);
        return;
    }
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    put_key(w, key);
    if (w->status == 0)
        w->status = buffer_printf(w->to, "\"%s.%06" PRIu64 "Z\"", text, ns % NS_PER_S / 1000);
}

/* ---- a run's row ---- */

/* Without the closing brace. */
static void put_row(struct writer *w, const struct journal_row *row) {
    put(w, "{\"run_id\":");
    put_string(w, row->id, strlen(row->id));
    put_text(w, "entry", row->entry);
    put_text(w, "task", row->task);
    put_text(w, "state", inspect_state(row));
    put_time(w, "begun", row->begun);
    put_time(w, "ended", row->ended);
    if (row->ended != 0) /* the wall clock may have gone backwards */
        put_duration(w, "duration_ms", row->ended > row->begun ? row->ended - row->begun : 0);
    else
        put_null(w, "duration_ms");
    put_text(w, "waits_for", row->state == JOURNAL_SUSPENDED ? row->waits_for : NULL);
    put_time(w, "wake", row->state == JOURNAL_SUSPENDED ? row->wake : 0);
    put_text(w, "error_type", row->error_type);
    if (row->state == JOURNAL_RUNNING && row->alive && row->pid > 0)
        put_number(w, "pid", (uint64_t)row->pid);
    else
        put_null(w, "pid");
    put_bool(w, "durable", row->durable);
    put_text(w, "forked_from", row->forked_from);
    put_number(w, "bytes", row->bytes);
}

static int finish(const struct writer *w, const char *what, struct error *err) {
    if (w->status == 0)
        return 0;
    if (w->status == ERROR_LIMIT)
        return error_set(err, ERROR_LIMIT, "%s would be longer than %d MiB", what, INSPECT_JSON_MAX >> 20);
    return error_set(err, w->status, "no memory for %s", what);
}

struct listing {
    struct writer w;
    bool any;
};

static int list_row(void *user, const struct journal_row *row) {
    struct listing *l = user;
    put(&l->w, l->any ? "," : "");
    put_row(&l->w, row);
    put(&l->w, "}");
    l->any = true;
    return l->w.status;
}

int inspect_list(struct journal *j, const struct journal_filter *filter, struct buffer *to, struct error *err) {
    struct listing l = {.w = {.to = to}};
    put(&l.w, "[");
    int rc = journal_list(j, filter, list_row, &l, err);
    if (rc != 0 && l.w.status == 0)
        return rc;
    put(&l.w, "]");
    return finish(&l.w, "the list of runs", err);
}

/* ---- what the events say ---- */

struct wait {
    uint64_t operation, since, until, ended, signal;
    char *name; /* of a signal */
    enum event_wait kind;
    uint32_t next; /* of the same task: index + 1, 0: the last */
};

struct view_task {
    uint32_t id, parent; /* parent: index + 1, 0: none */
    uint32_t call;       /* which of its parent's calls it was */
    uint32_t calls, attempts, starts;
    int state;
    uint32_t first_wait, last_wait; /* index + 1 */
    uint32_t retries_n, requests_n, waits_n;
    uint64_t created, ended, duration, fuel, ram;
    uint64_t arguments_bytes, result_bytes, output_bytes;
    char *name;
    struct buffer retries, requests, error; /* JSON */
};

struct taken {
    uint64_t number;
    uint32_t task;
};

struct view {
    struct journal *j;
    struct error *err;
    struct view_task *tasks;
    uint32_t *index; /* by task number: index + 1 */
    struct wait *waits;
    struct taken *taken;
    struct buffer result; /* of the entry task */
    size_t tasks_n, tasks_room, index_n, waits_n, waits_room, taken_n, taken_room;
    uint32_t resumed, suspended;
};

static void view_done(struct view *v) {
    for (size_t i = 0; i < v->tasks_n; i++) {
        free(v->tasks[i].name);
        buffer_done(&v->tasks[i].retries);
        buffer_done(&v->tasks[i].requests);
        buffer_done(&v->tasks[i].error);
    }
    for (size_t i = 0; i < v->waits_n; i++)
        free(v->waits[i].name);
    free(v->tasks);
    free(v->index);
    free(v->waits);
    free(v->taken);
    buffer_done(&v->result);
}

static int no_memory(const struct view *v) {
    return error_set(v->err, ERROR_NOMEM, "no memory for a run's events");
}

/* Makes room for one more element. */
static int make_room(const struct view *v, void *array, size_t n, size_t *room, size_t size) {
    if (n < *room)
        return 0;
    const size_t more = *room > 0 ? *room * 2 : 16;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = FAULT("inspect.grow") ? NULL : realloc(old, more * size);
    if (grown == NULL)
        return no_memory(v);
    memcpy(array, &grown, sizeof grown);
    *room = more;
    return 0;
}

static struct view_task *find_task(const struct view *v, uint32_t id) {
    return id < v->index_n && v->index[id] != 0 ? &v->tasks[v->index[id] - 1] : NULL;
}

static int grow_index(struct view *v, uint32_t id) {
    if (id < v->index_n)
        return 0;
    const size_t n = (size_t)id * 2 + 64;
    uint32_t *grown = FAULT("inspect.index") ? NULL : realloc(v->index, n * sizeof *grown);
    if (grown == NULL)
        return no_memory(v);
    memset(grown + v->index_n, 0, (n - v->index_n) * sizeof *grown);
    v->index = grown;
    v->index_n = n;
    return 0;
}

/* A short text that stays with us: "" if it lies in a blob, where no name is. */
static char *keep(const struct event_text *text) {
    return text->bytes != NULL ? strndup(text->bytes, text->n) : strdup("");
}

static int on_created(struct view *v, const struct event *e) {
    if (find_task(v, e->task) != NULL)
        return 0;
    if (e->task == 0 || e->task >= INSPECT_TASKS_MAX)
        return error_set(v->err, ERROR_CORRUPT, "an event is about the task number %" PRIu32, e->task);
    int rc = grow_index(v, e->task);
    if (rc == 0)
        rc = make_room(v, &v->tasks, v->tasks_n, &v->tasks_room, sizeof *v->tasks);
    if (rc != 0)
        return rc;
    struct view_task *parent = e->numbers[0] < INSPECT_TASKS_MAX ? find_task(v, (uint32_t)e->numbers[0]) : NULL;
    struct view_task *t = &v->tasks[v->tasks_n];
    *t = (struct view_task){.id = e->task,
                            .created = e->time,
                            .arguments_bytes = e->texts[1].n,
                            .name = keep(&e->texts[0]),
                            .retries = BUFFER_INIT(INSPECT_JSON_MAX),
                            .requests = BUFFER_INIT(INSPECT_JSON_MAX),
                            .error = BUFFER_INIT(INSPECT_JSON_MAX)};
    if (t->name == NULL)
        return no_memory(v);
    if (parent != NULL) {
        t->parent = (uint32_t)(parent - v->tasks) + 1;
        t->call = ++parent->calls;
    }
    v->index[e->task] = (uint32_t)++v->tasks_n;
    return 0;
}

/* Waits of an attempt end with it. */
static void close_waits(struct view *v, const struct view_task *t, uint64_t time) {
    for (uint32_t i = t->first_wait; i != 0; i = v->waits[i - 1].next)
        if (v->waits[i - 1].ended == 0)
            v->waits[i - 1].ended = time;
}

static struct wait *find_open_wait(struct view *v, const struct view_task *t, uint64_t operation) {
    for (uint32_t i = t->first_wait; i != 0; i = v->waits[i - 1].next)
        if (v->waits[i - 1].ended == 0 && v->waits[i - 1].operation == operation)
            return &v->waits[i - 1];
    return NULL;
}

static int on_started(struct view *v, struct view_task *t, const struct event *e) {
    /* The same attempt once more goes on where it was, its waits with it. */
    if (e->numbers[0] > t->attempts) {
        close_waits(v, t, e->time);
        t->attempts = e->numbers[0] < UINT32_MAX ? (uint32_t)e->numbers[0] : UINT32_MAX;
    }
    t->starts++;
    t->state = STATE_RUNNING;
    return 0;
}

static int on_retry(struct view *v, struct view_task *t, const struct event *e) {
    close_waits(v, t, e->time);
    if (t->retries_n++ >= INSPECT_LISTED_MAX)
        return 0;
    struct writer w = {.to = &t->retries};
    if (w.status == 0)
        w.status = buffer_printf(w.to, "%s{\"attempt\":%" PRIu64, t->retries.size > 0 ? "," : "", e->numbers[0]);
    put_time(&w, "time", e->time);
    put_duration(&w, "delay_ms", e->numbers[1]);
    put_key(&w, "type");
    put_string(&w, e->texts[0].bytes, e->texts[0].bytes != NULL ? e->texts[0].n : 0);
    put_key(&w, "message");
    put_string(&w, e->texts[1].bytes, e->texts[1].bytes != NULL ? e->texts[1].n : 0);
    put(&w, "}");
    return finish(&w, "a task's retries", v->err);
}

static int on_request(struct view *v, struct view_task *t, const struct event *e) {
    if (t->requests_n++ >= INSPECT_LISTED_MAX)
        return 0;
    struct writer w = {.to = &t->requests};
    put(&w, t->requests.size > 0 ? ",{\"method\":" : "{\"method\":");
    put_string(&w, e->texts[0].bytes, e->texts[0].bytes != NULL ? e->texts[0].n : 0);
    put_key(&w, "url");
    put_string(&w, e->texts[1].bytes, e->texts[1].bytes != NULL ? e->texts[1].n : 0);
    put_number(&w, "status", e->numbers[0]);
    put_duration(&w, "duration_ms", e->numbers[1]);
    put_number(&w, "bytes", e->numbers[2]);
    put(&w, "}");
    return finish(&w, "a task's requests", v->err);
}

static int on_wait(struct view *v, struct view_task *t, const struct event *e) {
    struct wait *open = find_open_wait(v, t, e->numbers[0]);
    if (open != NULL) { /* told again by a process that went on with the run */
        open->until = e->numbers[2];
        return 0;
    }
    int rc = make_room(v, &v->waits, v->waits_n, &v->waits_room, sizeof *v->waits);
    if (rc != 0)
        return rc;
    struct wait *wait = &v->waits[v->waits_n];
    *wait = (struct wait){.operation = e->numbers[0],
                          .since = e->time,
                          .until = e->numbers[2],
                          .kind = e->numbers[1] == EVENT_WAIT_SIGNAL ? EVENT_WAIT_SIGNAL : EVENT_WAIT_SLEEP,
                          .name = keep(&e->texts[0])};
    if (wait->name == NULL)
        return no_memory(v);
    const uint32_t number = (uint32_t)++v->waits_n;
    if (t->last_wait != 0)
        v->waits[t->last_wait - 1].next = number;
    else
        t->first_wait = number;
    t->last_wait = number;
    t->waits_n++;
    return 0;
}

static int on_signal(struct view *v, struct view_task *t, const struct event *e) {
    struct wait *wait = find_open_wait(v, t, e->numbers[0]);
    if (wait != NULL)
        wait->signal = e->numbers[1];
    int rc = make_room(v, &v->taken, v->taken_n, &v->taken_room, sizeof *v->taken);
    if (rc == 0)
        v->taken[v->taken_n++] = (struct taken){e->numbers[1], t->id};
    return rc;
}

static int on_reply(struct view *v, struct view_task *t, const struct event *e) {
    struct wait *wait = find_open_wait(v, t, e->numbers[0]);
    if (wait != NULL)
        wait->ended = e->time;
    return 0;
}

/* ---- how a task ended ---- */

/* The parts of a message of guest/abi.h; false if it isn't one. */
static bool split_message(const char *bytes, size_t n, const char **ret_header, size_t *ret_header_n) {
    uint32_t header_n;
    if (bytes == NULL || n < sizeof header_n)
        return false;
    const unsigned char *b = (const unsigned char *)bytes;
    header_n = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    if (header_n > n - sizeof header_n)
        return false;
    *ret_header = bytes + sizeof header_n;
    *ret_header_n = header_n;
    return true;
}

static void put_member(struct writer *w, const json_value *object, const char *key) {
    size_t n;
    const char *text = json_string(json_get(object, key), &n);
    if (text == NULL)
        return;
    put_key(w, key);
    put_string(w, text, n);
}

/* {"type", "class"?, "message", "traceback"?} */
static int keep_error(const struct view *v, struct view_task *t, const json_value *error) {
    struct writer w = {.to = &t->error};
    put(&w, "{\"type\":");
    const char *type = json_text(json_get(error, "type"), "unknown");
    put_string(&w, type, strlen(type));
    put_member(&w, error, "class");
    put_member(&w, error, "message");
    put_member(&w, error, "traceback");
    put(&w, "}");
    return finish(&w, "a task's error", v->err);
}

static int keep_result(struct view *v, const char *body, size_t n) {
    if (n > INSPECT_VALUE_MAX || !json_valid(body, n))
        return 0;
    buffer_clear(&v->result);
    return buffer_append(&v->result, body, n) == 0 ? 0 : no_memory(v);
}

/* A long reply lies in a blob. One that was a result isn't read: only its size is told. */
static int read_reply(struct view *v, struct view_task *t, const struct event_text *text) {
    CLEANUP(buffer_done) struct buffer loaded = BUFFER_INIT(INSPECT_JSON_MAX);
    const char *bytes = text->bytes, *header = NULL;
    size_t n = text->n, header_n = 0;
    if (text->in_blob && t->state == STATE_COMPLETED)
        return 0;
    if (text->in_blob) {
        struct error why;
        /* What can't be read is journal_verify's to tell; the rest of the view is worth more than none. */
        if (journal_text(v->j, text, &loaded, &why) != 0)
            return 0;
        bytes = buffer_text(&loaded);
        n = loaded.size;
    }
    if (!split_message(bytes, n, &header, &header_n))
        return 0;
    const size_t body_n = n - (size_t)(header - bytes) - header_n;
    t->result_bytes = t->state == STATE_COMPLETED ? body_n : 0;
    if (t->state == STATE_COMPLETED)
        return t->parent == 0 ? keep_result(v, header + header_n, body_n) : 0;
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(header, header_n, &document, NULL) != 0)
        return 0;
    return keep_error(v, t, json_get(json_root(document), "error"));
}

static int on_ended(struct view *v, struct view_task *t, const struct event *e) {
    close_waits(v, t, e->time);
    t->state = e->numbers[0] <= STATE_INTERRUPTED ? (int)e->numbers[0] : -1;
    t->attempts = e->numbers[1] < UINT32_MAX ? (uint32_t)e->numbers[1] : UINT32_MAX;
    t->fuel = e->numbers[2];
    t->ram = e->numbers[3];
    t->duration = e->numbers[4];
    t->ended = e->time;
    t->result_bytes = t->state == STATE_COMPLETED ? e->texts[0].n : 0;
    return read_reply(v, t, &e->texts[0]);
}

static int on_output(struct view *v, struct view_task *t, const struct event *e) {
    (void)v;
    t->output_bytes += e->texts[0].n;
    return 0;
}

static int on_event(void *user, const struct event *e) {
    static int (*const of_tasks[])(struct view *, struct view_task *, const struct event *) = {
        [EVENT_STARTED] = on_started, [EVENT_RETRY] = on_retry,     [EVENT_ENDED] = on_ended,
        [EVENT_REPLY] = on_reply,     [EVENT_WAIT] = on_wait,       [EVENT_SIGNAL] = on_signal,
        [EVENT_OUTPUT] = on_output,   [EVENT_REQUEST] = on_request,
    };
    struct view *v = user;
    if (e->kind == EVENT_RESUMED)
        v->resumed++;
    else if (e->kind == EVENT_SUSPENDED)
        v->suspended++;
    else if (e->kind == EVENT_CREATED)
        return on_created(v, e);
    struct view_task *t = find_task(v, e->task);
    if (t == NULL || (size_t)e->kind >= sizeof of_tasks / sizeof of_tasks[0] || of_tasks[e->kind] == NULL)
        return 0;
    return of_tasks[e->kind](v, t, e);
}

/* ---- writing a run ---- */

/* "RUN/1.2.3": the path of call numbers from the entry task down. */
static void put_key_of(struct writer *w, const struct view *v, const struct journal_row *row,
                       const struct view_task *t) {
    enum { DEPTH_MAX = 256 };
    uint32_t path[DEPTH_MAX];
    size_t depth = 0;
    for (; t->parent != 0 && depth < DEPTH_MAX; t = &v->tasks[t->parent - 1])
        path[depth++] = t->call;
    if (w->status == 0)
        w->status = buffer_printf(w->to, ",\"key\":\"%s/1", row->id);
    while (depth > 0 && w->status == 0)
        w->status = buffer_printf(w->to, ".%" PRIu32, path[--depth]);
    put(w, "\"");
}

static void put_wait(struct writer *w, const struct wait *wait) {
    put_text(w, "kind", wait->kind == EVENT_WAIT_SIGNAL ? "signal" : "sleep");
    if (wait->kind == EVENT_WAIT_SIGNAL)
        put_text(w, "name", wait->name);
    put_time(w, "since", wait->since);
    put_time(w, "until", wait->until);
}

static void put_waits(struct writer *w, const struct view *v, const struct view_task *t) {
    uint32_t listed = 0;
    put(w, ",\"waits\":[");
    for (uint32_t i = t->first_wait; i != 0 && listed < INSPECT_LISTED_MAX; i = v->waits[i - 1].next) {
        const struct wait *wait = &v->waits[i - 1];
        if (w->status == 0)
            w->status =
                buffer_printf(w->to, "%s{\"operation\":%" PRIu64, listed++ > 0 ? "," : "", wait->operation);
        put_wait(w, wait);
        put_time(w, "ended", wait->ended);
        if (wait->signal != 0)
            put_number(w, "signal", wait->signal);
        put(w, "}");
    }
    put(w, "]");
}

/* A list that was made while reading, and how many of it aren't there. */
static void put_made(struct writer *w, const char *key, const struct buffer *items, uint32_t n) {
    if (w->status == 0)
        w->status = buffer_printf(w->to, ",\"%s\":[", key);
    if (w->status == 0)
        w->status = buffer_append(w->to, buffer_text(items), items->size);
    put(w, "]");
    if (n > INSPECT_LISTED_MAX && w->status == 0)
        w->status = buffer_printf(w->to, ",\"%s_omitted\":%" PRIu32, key, n - INSPECT_LISTED_MAX);
}

/* Of one that hasn't ended: what it is now, by what its run is. */
static const char *task_state(const struct view_task *t, const struct journal_row *row) {
    if (t->ended != 0)
        return inspect_state_name(t->state);
    if (row->state == JOURNAL_ENDED)
        return inspect_state_name(STATE_INTERRUPTED);
    return t->starts == 0 ? inspect_state_name(STATE_CREATED) : inspect_state(row);
}

static void put_task(struct writer *w, const struct view *v, const struct journal_row *row,
                     const struct view_task *t) {
    if (w->status == 0)
        w->status = buffer_printf(w->to, "{\"id\":%" PRIu32, t->id);
    if (t->parent != 0)
        put_number(w, "parent", v->tasks[t->parent - 1].id);
    else
        put_null(w, "parent");
    put_text(w, "name", t->name);
    put_key_of(w, v, row, t);
    put_text(w, "state", task_state(t, row));
    put_number(w, "attempts", t->attempts);
    put_number(w, "starts", t->starts);
    put_time(w, "created", t->created);
    put_time(w, "ended", t->ended);
    if (t->ended != 0) {
        put_duration(w, "duration_ms", t->duration);
        put_number(w, "fuel", t->fuel);
        put_number(w, "ram", t->ram);
    } else {
        put(w, ",\"duration_ms\":null,\"fuel\":null,\"ram\":null");
    }
    put_key(w, "error");
    put(w, t->error.size > 0 ? buffer_text(&t->error) : "null");
    put_number(w, "arguments_bytes", t->arguments_bytes);
    put_number(w, "result_bytes", t->result_bytes);
    put_number(w, "output_bytes", t->output_bytes);
    put_made(w, "retries", &t->retries, t->retries_n);
    put_made(w, "requests", &t->requests, t->requests_n);
    put_waits(w, v, t);
    put(w, "}");
}

/* What the run is waiting for. */
static void put_open_waits(struct writer *w, const struct view *v) {
    bool any = false;
    put(w, ",\"waits\":[");
    for (size_t i = 0; i < v->tasks_n; i++) {
        for (uint32_t k = v->tasks[i].first_wait; k != 0; k = v->waits[k - 1].next) {
            if (v->waits[k - 1].ended != 0)
                continue;
            if (w->status == 0)
                w->status = buffer_printf(w->to, "%s{\"task\":%" PRIu32, any ? "," : "", v->tasks[i].id);
            put_wait(w, &v->waits[k - 1]);
            put(w, "}");
            any = true;
        }
    }
    put(w, "]");
}

static int compare_taken(const void *a, const void *b) {
    const struct taken *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

struct signals {
    struct writer w;
    const struct view *v;
    bool any;
};

static int put_signal(void *user, uint64_t number, uint64_t time, const char *name, const char *json,
                      size_t json_n) {
    struct signals *s = user;
    const struct taken key = {number, 0};
    const struct taken *taken =
        s->v->taken_n > 0 ? bsearch(&key, s->v->taken, s->v->taken_n, sizeof key, compare_taken) : NULL;
    if (s->w.status == 0)
        s->w.status = buffer_printf(s->w.to, "%s{\"number\":%" PRIu64, s->any ? "," : "", number);
    put_text(&s->w, "name", name);
    put_time(&s->w, "time", time);
    if (json_n <= INSPECT_VALUE_MAX && json_valid(json, json_n)) {
        put_key(&s->w, "value");
        if (s->w.status == 0)
            s->w.status = buffer_append(s->w.to, json, json_n);
    }
    put_number(&s->w, "value_bytes", json_n);
    if (taken != NULL)
        put_number(&s->w, "taken_by", taken->task);
    else
        put_null(&s->w, "taken_by");
    put(&s->w, "}");
    s->any = true;
    return s->w.status;
}

static int put_signals(struct writer *w, const struct view *v, const struct journal_row *row, struct error *err) {
    struct signals s = {.w = *w, .v = v};
    put(&s.w, ",\"signals\":[");
    int rc = journal_signals(v->j, row->id, 0, put_signal, &s, err);
    if (rc != 0 && s.w.status == 0)
        return rc;
    put(&s.w, "]");
    *w = s.w;
    return 0;
}

static int write_run(struct view *v, const struct journal_row *row, struct buffer *to, struct error *err) {
    struct writer w = {.to = to};
    put_row(&w, row);
    put_number(&w, "resumed", v->resumed);
    put_number(&w, "suspended", v->suspended);
    put_open_waits(&w, v);
    if (v->taken_n > 0)
        qsort(v->taken, v->taken_n, sizeof *v->taken, compare_taken);
    int rc = put_signals(&w, v, row, err);
    if (rc != 0)
        return rc;
    if (v->result.size > 0) {
        put_key(&w, "result");
        put(&w, buffer_text(&v->result));
    }
    put_key(&w, "error");
    put(&w, v->tasks_n > 0 && v->tasks[0].error.size > 0 ? buffer_text(&v->tasks[0].error) : "null");
    put(&w, ",\"tasks\":[");
    for (size_t i = 0; i < v->tasks_n && w.status == 0; i++) {
        put(&w, i > 0 ? "," : "");
        put_task(&w, v, row, &v->tasks[i]);
    }
    put(&w, "]}");
    return finish(&w, "the view of the run", err);
}

int inspect_run(struct journal *j, const char *id, struct buffer *to, struct error *err) {
    CLEANUP(journal_row_done) struct journal_row row = {0};
    /* The row first: what it says then is never newer than the events. */
    int rc = journal_find(j, id, false, &row, err);
    if (rc != 0)
        return rc;
    CLEANUP(view_done) struct view v = {.j = j, .err = err, .result = BUFFER_INIT(INSPECT_VALUE_MAX)};
    uint64_t after = 0;
    rc = journal_events(j, row.id, &after, on_event, &v, err);
    return rc == 0 ? write_run(&v, &row, to, err) : rc;
}
