/* The waits of a run: how they begin, what ends them, and when nothing else is left to be done. */
#include "run/waits.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/utf8.h"
#include "guest/abi.h"
#include "run/calls.h"
#include "run/run.h"
#include "run/scheduler.h"
#include "run/task.h"
#include "sandbox/operation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a wait: a longer one can't be told from one without an end, and wouldn't fit the clock. */
#define WAIT_MAX_NS (UINT64_C(100) * 365 * 24 * 3600 * NS_PER_S)

/* ---- the list ---- */

static void enlist(struct capsule_run *run, struct wait *w) {
    struct waits *list = &run->waits;
    struct wait *before = list->last;
    while (before != NULL && before->order > w->order)
        before = before->previous;
    w->previous = before;
    w->next = before != NULL ? before->next : list->first;
    *(before != NULL ? &before->next : &list->first) = w;
    *(w->next != NULL ? &w->next->previous : &list->last) = w;
    list->n++;
}

static void drop(struct wait *w) {
    struct waits *list = &w->task->run->waits;
    scheduler_set_timer(w->task->run, &w->timer, UINT64_MAX);
    if (w->previous != NULL)
        w->previous->next = w->next;
    else
        list->first = w->next;
    if (w->next != NULL)
        w->next->previous = w->previous;
    else
        list->last = w->previous;
    list->n--;
    w->task->waits_n--;
    free(w);
}

/* ---- ends ---- */

/* Ends a wait by a reply. */
static void end_wait(struct wait *w, const char *header, const char *body, size_t body_n, uint64_t signal) {
    struct task *t = w->task;
    uint32_t op = w->op;
    size_t n = 0;
    char *reply = message_new(header, strlen(header), body, body_n, &n);
    drop(w);
    if (signal != 0)
        record_signal(t, op, signal);
    if (reply != NULL)
        record_reply(t, op, reply, n);
    record_deliver(t, op, reply, n);
    task_go_on(t, false);
}

static const char DONE[] = "{\"ok\":true}";

void waits_fire(struct wait *w) {
    if (w->kind == EVENT_WAIT_SLEEP) {
        end_wait(w, DONE, NULL, 0, 0);
        return;
    }
    end_wait(w,
             "{\"ok\":false,\"error\":{\"type\":\"timeout\",\"message\":\"no such signal came in "
             "time\",\"retry\":true}}",
             NULL, 0, 0);
}

/* Gives a signal that came to a wait for its name. */
static bool take_signal(struct wait *w) {
    uint64_t number;
    char *json = NULL;
    size_t n = 0;
    if (w->kind != EVENT_WAIT_SIGNAL || w->task->run->restoring_n > 0 ||
        !record_take_signal(w->task->run, w->name, &number, &json, &n))
        return false;
    end_wait(w, DONE, json, n, number);
    free(json);
    return true;
}

void waits_signalled(struct capsule_run *run) {
    for (struct wait *w = run->waits.first, *next; w != NULL; w = next) {
        next = w->next;
        (void)take_signal(w);
    }
}

bool waits_cancel(struct task *t, uint32_t op) {
    for (struct wait *w = t->waits_n > 0 ? t->run->waits.first : NULL; w != NULL; w = w->next) {
        if (w->task == t && w->op == op) {
            end_wait(w,
                     "{\"ok\":false,\"error\":{\"type\":\"cancelled\",\"message\":\"its caller cancelled it\"}}",
                     NULL, 0, 0);
            return true;
        }
    }
    return false;
}

void waits_forget(struct task *t) {
    for (struct wait *w = t->run->waits.first, *next; w != NULL && t->waits_n > 0; w = next) {
        next = w->next;
        if (w->task == t)
            drop(w);
    }
}

/* ---- beginning ---- */

/* When it's over by the wall clock, 0 for never. False: the message makes no sense. */
static bool read_until(const json_value *header, bool sleep, uint64_t now, uint64_t *ret) {
    uint64_t ns;
    const char *duration = sleep ? "duration_ns" : "timeout_ns";
    if (json_u64(json_get(header, duration), &ns))
        *ret = now + (ns < WAIT_MAX_NS ? ns : WAIT_MAX_NS);
    else if (sleep && json_u64(json_get(header, "until_ns"), &ns))
        *ret = ns > now + WAIT_MAX_NS ? now + WAIT_MAX_NS : ns > 0 ? ns : 1;
    else if (sleep || json_get(header, duration) != NULL)
        return false;
    else
        *ret = 0;
    return true;
}

/* Begins a wait, or ends it at once. NULL: a new one. */
static void begin_wait(struct wait *w, const struct history_wait *past) {
    struct task *t = w->task;
    struct capsule_run *run = t->run;
    uint64_t now = clock_wall_ns();
    /* A clock that was put back since would make it longer, and longer with each resume: it begins anew by the clock of now. */
    bool put_back = past != NULL && past->until != 0 && now < past->since;
    w->order = past != NULL ? past->order : UINT64_MAX;
    if (put_back)
        w->until = past->until > past->since ? now + (past->until - past->since) : now;
    else if (past != NULL)
        w->until = past->until;
    enlist(run, w);
    t->waits_n++;
    if (past == NULL || put_back)
        record_wait(w);
    if (take_signal(w))
        return;
    if (w->kind == EVENT_WAIT_SIGNAL)
        record_watch(run);
    if (w->until != 0)
        scheduler_set_timer(run, &w->timer, clock_monotonic_ns() + (w->until > now ? w->until - now : 0));
}

static struct wait *wait_new(struct task *t, uint32_t op, uint32_t kind, const char *name, size_t name_n) {
    struct wait *w = FAULT("waits.alloc") ? NULL : calloc(1, sizeof *w + name_n + 1);
    if (w == NULL)
        return NULL;
    w->task = t;
    w->op = op;
    w->kind = kind;
    w->timer = (struct timer){.at = UINT64_MAX, .owner = TIMER_OF_WAIT};
    memcpy(w->name, name, name_n);
    return w;
}

static int32_t submit_wait(struct task *t, struct wait *w) {
    struct capsule_run *run = t->run;
    const struct history *history = run->record.history;
    if (w == NULL)
        return GUEST_E_TOO_MANY;
    pthread_mutex_lock(&run->lock);
    bool room = timers_reserve(&run->timers, run->live_n + run->waits.n + 1);
    if (room)
        begin_wait(w, history != NULL ? history_wait(history, t->id, t->attempt, w->op) : NULL);
    pthread_mutex_unlock(&run->lock);
    if (!room)
        free(w);
    return room ? 0 : GUEST_E_TOO_MANY;
}

int32_t waits_sleep(struct task *t, uint32_t op, const json_value *header) {
    uint64_t until;
    if (!read_until(header, true, clock_wall_ns(), &until))
        return GUEST_E_BAD_MESSAGE;
    struct wait *w = wait_new(t, op, EVENT_WAIT_SLEEP, "", 0);
    if (w != NULL)
        w->until = until;
    return submit_wait(t, w);
}

int32_t waits_signal(struct task *t, uint32_t op, const json_value *header) {
    uint64_t until;
    size_t n = 0;
    const char *name = json_string(json_get(header, "name"), &n);
    if (!read_until(header, false, clock_wall_ns(), &until))
        return GUEST_E_BAD_MESSAGE;
    if (name == NULL || n == 0 || n > GUEST_SIGNAL_NAME_MAX || memchr(name, '\0', n) != NULL)
        return calls_refuse(t, op, OUTCOME_BAD_INPUT, "a signal's name has 1 to 128 bytes of UTF-8 without NUL");
    if (t->run->record.run == NULL)
        return calls_refuse(t, op, OUTCOME_POLICY, "this run isn't recorded, so nobody can signal it");
    struct wait *w = wait_new(t, op, EVENT_WAIT_SIGNAL, name, n);
    if (w != NULL)
        w->until = until;
    return submit_wait(t, w);
}

/* ---- nothing else left ---- */

/* Whether a task waits for nothing that this process would have to do. */
static bool idle(const struct task *t) {
    if (t->phase != TASK_WAITING || t->closing || t->sandbox == NULL || t->http_open > 0 || t->sends != NULL ||
        sandbox_wake_time(t->sandbox) != UINT64_MAX)
        return false;
    for (const struct task *child = t->children; child != NULL; child = child->sibling_next) {
        if (!idle(child))
            return false;
    }
    return true;
}

static void describe(const struct capsule_run *run, const struct wait *w, char *ret, size_t n) {
    char more[48] = "", when[64];
    if (run->waits.n > 1)
        snprintf(more, sizeof more, " (and %u more)", run->waits.n - 1);
    if (w->kind == EVENT_WAIT_SIGNAL) {
        snprintf(ret, n, "signal %s%s", w->name, more);
        return;
    }
    time_t seconds = (time_t)(w->until / NS_PER_S);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
        snprintf(when, sizeof when, "a time");
    snprintf(ret, n, "%s%s", when, more);
}

bool waits_only(struct capsule_run *run, uint64_t after, uint64_t *ret_wake, char *ret_words, size_t words_n) {
    struct timer *timer;
    uint64_t now = clock_monotonic_ns(), first = timers_first(&run->timers, &timer);
    const struct wait *shown = run->waits.first;
    if (shown == NULL || (first != UINT64_MAX && first < now + after) || run->record.first != NULL ||
        !idle(run->root))
        return false;
    /* A person is waited for rather than a time, the earliest rather than a later one. */
    for (const struct wait *w = shown->next; w != NULL; w = w->next) {
        bool signal = w->kind == EVENT_WAIT_SIGNAL, is_shown = shown->kind == EVENT_WAIT_SIGNAL;
        if (signal ? !is_shown : !is_shown && w->until < shown->until)
            shown = w;
    }
    describe(run, shown, ret_words, words_n);
    *ret_wake = first != UINT64_MAX ? clock_wall_ns() + (first > now ? first - now : 0) : 0;
    return true;
}
