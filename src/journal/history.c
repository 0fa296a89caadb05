/* Owns the table of what happened, filled event by event.
 *
 * Tasks are found by number, operations by (task, attempt, operation) in one open-addressed table whose load is at most a half. */
#include "journal/history.h"
#include "base/fault.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };
#define TAPE_TOTAL_MAX (UINT64_C(4) << 30) /* bytes of one attempt's tape */

enum slot_kind { SLOT_FREE, SLOT_CHILD, SLOT_REPLY, SLOT_WAIT };

struct slot {
    enum slot_kind kind;
    uint32_t task, attempt, op;
    union {
        struct history_task *child;
        struct event_text *reply; /* owned, with its bytes behind it */
        struct history_wait wait;
    };
};

struct history {
    struct journal *journal; /* while it's loaded */
    struct history_task **tasks;
    uint32_t tasks_capacity, last;
    struct slot *slots;
    size_t slots_n, slots_capacity;
    uint64_t *signals; /* taken, in the order of events */
    size_t signals_n, signals_capacity;
    uint64_t events; /* seen */
    bool suspended;
    struct error *err; /* of history_load */
};

/* ---- tables ---- */

static size_t hash(uint32_t task, uint32_t attempt, uint32_t op) {
    uint64_t x = ((uint64_t)task << 32 | op) * UINT64_C(0x9e3779b97f4a7c15) + attempt;
    return (size_t)(x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 16;
}

/* The slot of an operation, or the free one where it belongs. */
static struct slot *slot_of(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op) {
    size_t mask = h->slots_capacity - 1, i = hash(task, attempt, op) & mask;
    while (h->slots[i].kind != SLOT_FREE &&
           (h->slots[i].task != task || h->slots[i].attempt != attempt || h->slots[i].op != op))
        i = (i + 1) & mask;
    return &h->slots[i];
}

static bool enlarge_slots(struct history *h) {
    size_t capacity = h->slots_capacity == 0 ? FIRST_CAPACITY : h->slots_capacity * 2;
    struct slot *old = h->slots, *slots = FAULT("history.alloc") ? NULL : calloc(capacity, sizeof *slots);
    size_t old_n = h->slots_capacity;
    if (slots == NULL)
        return false;
    h->slots = slots;
    h->slots_capacity = capacity;
    for (size_t i = 0; i < old_n; i++) {
        if (old[i].kind != SLOT_FREE)
            *slot_of(h, old[i].task, old[i].attempt, old[i].op) = old[i];
    }
    free(old);
    return true;
}

/* Makes an operation's slot of a kind; what was there before is done with. NULL: no memory. */
static struct slot *claim(struct history *h, uint32_t task, uint32_t attempt, uint32_t op, enum slot_kind kind) {
    if (2 * (h->slots_n + 1) > h->slots_capacity && !enlarge_slots(h))
        return NULL;
    struct slot *s = slot_of(h, task, attempt, op);
    if (s->kind == SLOT_FREE)
        h->slots_n++;
    else if (s->kind == SLOT_REPLY)
        free(s->reply);
    *s = (struct slot){.kind = kind, .task = task, .attempt = attempt, .op = op};
    return s;
}

static const struct slot *find(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op,
                               enum slot_kind kind) {
    if (h->slots_capacity == 0)
        return NULL;
    const struct slot *s = slot_of(h, task, attempt, op);
    return s->kind == kind ? s : NULL;
}

struct history_task *history_task(const struct history *h, uint32_t id) {
    return id < h->tasks_capacity ? h->tasks[id] : NULL;
}

static bool enlarge_tasks(struct history *h, uint32_t id) {
    uint32_t capacity = id + id / 2 + FIRST_CAPACITY;
    struct history_task **tasks = FAULT("history.alloc") ? NULL : reallocarray(h->tasks, capacity, sizeof(void *));
    if (tasks == NULL)
        return false;
    memset(tasks + h->tasks_capacity, 0, (capacity - h->tasks_capacity) * sizeof(void *));
    h->tasks = tasks;
    h->tasks_capacity = capacity;
    return true;
}

static int no_memory(const struct history *h) {
    return error_set(h->err, ERROR_NOMEM, "no memory for what is on record of the run");
}

static int senseless(const struct history *h, const struct event *e) {
    return error_set(h->err, ERROR_CORRUPT, "the run's record makes no sense: event \"%s\" of task %u",
                     event_kind_name(e->kind), e->task);
}

/* ---- events ---- */

static char *copy(const struct event_text *text) {
    char *bytes = FAULT("history.alloc") ? NULL : malloc((size_t)text->n + 1);
    if (bytes != NULL) {
        memcpy(bytes, text->bytes, (size_t)text->n);
        bytes[text->n] = '\0';
    }
    return bytes;
}

/* Keeps a text, its bytes in *owner unless they lie in a blob. */
static bool keep(const struct event_text *from, struct event_text *to, char **owner) {
    *to = *from;
    if (from->in_blob)
        return true;
    free(*owner);
    to->bytes = *owner = copy(from);
    return to->bytes != NULL;
}

static int on_created(struct history *h, const struct event *e) {
    uint32_t parent_id = (uint32_t)e->numbers[0], op = (uint32_t)e->numbers[1];
    struct history_task *parent = history_task(h, parent_id);
    /* Tasks are numbered as they're created, and their number decides how much memory is asked for. */
    if (e->task != h->last + 1 || (parent_id != 0 && parent == NULL) || e->texts[0].in_blob)
        return senseless(h, e);
    if (e->task >= h->tasks_capacity && !enlarge_tasks(h, e->task))
        return no_memory(h);
    struct history_task *t = calloc(1, sizeof *t);
    if (t == NULL)
        return no_memory(h);
    h->tasks[e->task] = t;
    h->last = e->task;
    t->id = e->task;
    t->parent = parent_id;
    t->op = op;
    t->created = e->time;
    t->tagged = e->numbers[2] != 0;
    t->tape = BUFFER_INIT(TAPE_TOTAL_MAX);
    t->name = copy(&e->texts[0]);
    if (t->name == NULL || !keep(&e->texts[1], &t->body, &t->body_bytes))
        return no_memory(h);
    if (parent == NULL)
        return 0;
    parent->children++;
    t->parent_attempt = parent->attempt;
    struct slot *s = claim(h, parent_id, parent->attempt, op, SLOT_CHILD);
    if (s == NULL)
        return no_memory(h);
    s->child = t;
    return 0;
}

static int on_started(const struct history *h, struct history_task *t, const struct event *e) {
    free(t->seen_as);
    t->seen_as = e->texts[0].in_blob ? NULL : copy(&e->texts[0]);
    if (t->seen_as == NULL)
        return no_memory(h);
    t->attempt = (uint32_t)e->numbers[0];
    t->in_flight = true;
    t->started = e->time;
    t->calls = t->children;
    t->output[0] = t->output[1] = t->written[0] = t->written[1] = 0;
    buffer_done(&t->tape);
    t->tape = BUFFER_INIT(TAPE_TOTAL_MAX);
    return 0;
}

static int on_tape(struct history *h, struct history_task *t, const struct event *e) {
    int r = e->texts[0].in_blob ? journal_text(h->journal, &e->texts[0], &t->tape, h->err)
                                : buffer_append(&t->tape, e->texts[0].bytes, (size_t)e->texts[0].n);
    if (r == 0) {
        t->output[0] = t->written[0];
        t->output[1] = t->written[1];
    }
    return r == 0 || e->texts[0].in_blob ? r : no_memory(h);
}

static int on_ended(struct history *h, struct history_task *t, const struct event *e) {
    t->ended = true;
    t->in_flight = false;
    t->state = (int)e->numbers[0];
    t->attempts = (uint32_t)e->numbers[1];
    t->fuel = e->numbers[2];
    t->ram = e->numbers[3];
    t->duration = e->numbers[4];
    buffer_done(&t->tape);
    struct buffer requests = BUFFER_INIT(UINT32_MAX);
    int r = journal_text(h->journal, &e->texts[1], &requests, h->err);
    free(t->requests);
    t->requests = buffer_take(&requests);
    if (r != 0)
        return r;
    return t->requests != NULL && keep(&e->texts[0], &t->reply, &t->reply_bytes) ? 0 : no_memory(h);
}

static int on_reply(struct history *h, const struct history_task *t, const struct event *e) {
    size_t n = e->texts[0].in_blob ? 0 : (size_t)e->texts[0].n;
    struct slot *s = claim(h, t->id, t->attempt, (uint32_t)e->numbers[0], SLOT_REPLY);
    if (s == NULL)
        return no_memory(h);
    s->reply = malloc(sizeof *s->reply + n + 1);
    if (s->reply == NULL) {
        s->kind = SLOT_WAIT; /* nothing to free */
        return no_memory(h);
    }
    *s->reply = e->texts[0];
    if (!e->texts[0].in_blob) {
        s->reply->bytes = (char *)(s->reply + 1);
        memcpy(s->reply + 1, e->texts[0].bytes, n);
    }
    return 0;
}

static int on_wait(struct history *h, const struct history_task *t, const struct event *e) {
    struct slot *s = claim(h, t->id, t->attempt, (uint32_t)e->numbers[0], SLOT_WAIT);
    if (s == NULL)
        return no_memory(h);
    s->wait = (struct history_wait){
        .kind = (uint32_t)e->numbers[1], .since = e->time, .until = e->numbers[2], .order = h->events};
    return 0;
}

static int on_request(struct history *h, struct history_task *t, const struct event *e) {
    const struct event_text *method = &e->texts[0], *url = &e->texts[1];
    if (method->in_blob || url->in_blob)
        return senseless(h, e);
    struct history_request *r = calloc(1, sizeof *r + (size_t)(method->n + url->n) + 2);
    if (r == NULL)
        return no_memory(h);
    char *text = (char *)(r + 1);
    memcpy(text, method->bytes, (size_t)method->n);
    memcpy(text + method->n + 1, url->bytes, (size_t)url->n);
    r->method = text;
    r->status = e->numbers[0];
    r->duration = e->numbers[1];
    r->bytes = e->numbers[2];
    *(t->made == NULL ? &t->made : &t->made_last->next) = r;
    t->made_last = r;
    return 0;
}

static int on_signal(struct history *h, const struct event *e) {
    if (h->signals_n == h->signals_capacity) {
        size_t capacity = h->signals_capacity * 2 + 8;
        uint64_t *signals = FAULT("history.alloc") ? NULL : reallocarray(h->signals, capacity, sizeof *signals);
        if (signals == NULL)
            return no_memory(h);
        h->signals = signals;
        h->signals_capacity = capacity;
    }
    h->signals[h->signals_n++] = e->numbers[1];
    return 0;
}

static int on_event(void *user, const struct event *e) {
    struct history *h = user;
    h->events++;
    h->suspended = e->kind == EVENT_SUSPENDED;
    if (e->kind == EVENT_CREATED)
        return on_created(h, e);
    if (e->task == 0)
        return 0;
    struct history_task *t = history_task(h, e->task);
    if (t == NULL)
        return senseless(h, e);
    switch (e->kind) {
    case EVENT_STARTED:
        return on_started(h, t, e);
    case EVENT_RETRY:
        t->in_flight = false;
        return 0;
    case EVENT_ENDED:
        return on_ended(h, t, e);
    case EVENT_TAPE:
        return on_tape(h, t, e);
    case EVENT_REPLY:
        return on_reply(h, t, e);
    case EVENT_WAIT:
        return on_wait(h, t, e);
    case EVENT_SIGNAL:
        return on_signal(h, e);
    case EVENT_REQUEST:
        return on_request(h, t, e);
    case EVENT_OUTPUT:
        t->written[e->numbers[0] == 2] += e->texts[0].n;
        return 0;
    default:
        return 0;
    }
}

/* ---- calls ---- */

int history_load(struct journal *j, const char *run_id, struct history **ret, struct error *err) {
    struct error own; /* what goes wrong is told even to those who don't ask */
    struct history *h = calloc(1, sizeof *h);
    if (h == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for what is on record of the run");
    h->journal = j;
    h->err = err != NULL ? err : &own;
    uint64_t after = 0;
    int r = journal_events(j, run_id, &after, on_event, h, err);
    if (r != 0) {
        history_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

static void task_done(struct history_task *t) {
    if (t == NULL)
        return;
    for (struct history_request *r; (r = t->made) != NULL; free(r))
        t->made = r->next;
    buffer_done(&t->tape);
    free(t->name);
    free(t->seen_as);
    free(t->body_bytes);
    free(t->reply_bytes);
    free(t->requests);
    free(t);
}

void history_free(struct history *h) {
    if (h == NULL)
        return;
    for (uint32_t i = 0; i < h->tasks_capacity; i++)
        task_done(h->tasks[i]);
    for (size_t i = 0; i < h->slots_capacity; i++) {
        if (h->slots[i].kind == SLOT_REPLY)
            free(h->slots[i].reply);
    }
    free(h->tasks);
    free(h->slots);
    free(h->signals);
    free(h);
}

bool history_suspended(const struct history *h) {
    return h->suspended;
}

uint32_t history_last_task(const struct history *h) {
    return h->last;
}

struct history_task *history_child(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op) {
    const struct slot *s = find(h, task, attempt, op, SLOT_CHILD);
    return s != NULL ? s->child : NULL;
}

const struct event_text *history_reply(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op) {
    const struct slot *s = find(h, task, attempt, op, SLOT_REPLY);
    return s != NULL ? s->reply : NULL;
}

const struct history_wait *history_wait(const struct history *h, uint32_t task, uint32_t attempt, uint32_t op) {
    const struct slot *s = find(h, task, attempt, op, SLOT_WAIT);
    return s != NULL ? &s->wait : NULL;
}

bool history_took(const struct history *h, uint64_t signal) {
    for (size_t i = h->signals_n; i-- > 0;) {
        if (h->signals[i] == signal)
            return true;
    }
    return false;
}
