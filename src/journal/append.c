/* Owns what a run has appended and the writer hasn't written: frames that grow in memory, and who waits for them.
 *
 * Invariants: a run that isn't `queued` has nothing pending. Positions rise by one with every event and every change of state; `committed` never falls. What is
 * appended to a failed run is dropped.
 * Thread rule: any thread, under the run's lock; large texts are copied before it's taken. */
#define _GNU_SOURCE 1
#include "base/fault.h"
#include "journal/journal_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- what waits --- */

static void large_free(struct large *l) {
    while (l) {
        struct large *next = l->next;
        free(l->bytes);
        free(l);
        l = next;
    }
}

static void large_cleanup(struct large **l) {
    large_free(*l);
}

static void frame_free(struct frame *f) {
    while (f) {
        struct frame *next = f->next;
        large_free(f->large);
        buffer_done(&f->bytes);
        free(f);
        f = next;
    }
}

static void change_done(struct state_change *c) {
    free(c->waits_for);
    free(c->error_type);
    *c = (struct state_change){0};
}

void pending_done(struct pending *p) {
    frame_free(p->first);
    change_done(&p->change);
    *p = (struct pending){0};
}

void birth_done(struct birth *b) {
    if (!b)
        return;
    free(b->id);
    free(b->entry);
    free(b->task);
    free(b->app);
    free(b->image);
    free(b->forked_from);
    free(b);
}

/* --- a run --- */

static void init_locks(struct journal_run *r) {
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
}

int run_make(struct journal *j, const char *id, bool durable, const struct journal_callbacks *callbacks,
             struct journal_run **ret, struct error *err) {
    struct journal_run *r = FAULT("journal.run") ? NULL : calloc(1, sizeof *r);
    if (!r)
        return error_set(err, ERROR_NOMEM, "out of memory for run %s", id);
    r->journal = j;
    r->durable = durable;
    if (callbacks)
        r->callbacks = *callbacks;
    memcpy(r->id, id, strnlen(id, JOURNAL_RUN_ID_MAX));
    init_locks(r);
    *ret = r;
    return 0;
}

void run_unmake(struct journal_run *r) {
    if (!r)
        return;
    pending_done(&r->pending);
    pending_done(&r->writing);
    frame_free(r->spare);
    birth_done(r->birth);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void run_cleanup(struct journal_run **r) {
    run_unmake(*r);
}

/* With the run's lock. */
static void fail_locked(struct journal_run *r, const struct error *why) {
    if (!r->failed) {
        r->failed = true;
        r->why = *why;
    }
    pthread_cond_broadcast(&r->changed);
}

void run_fail(struct journal_run *r, const struct error *why) {
    pthread_mutex_lock(&r->lock);
    fail_locked(r, why);
    pthread_mutex_unlock(&r->lock);
}

/* --- appending --- */

/* With the run's lock: it's to be written. Returns what the writer must be told, for `tell`. */
struct news {
    bool first, prompt;
};

static struct news note(struct journal_run *r, bool prompt) {
    struct news news = {.first = !r->queued, .prompt = prompt && !r->prompt};
    r->queued = true;
    r->prompt |= prompt;
    return news;
}

static void tell(struct journal_run *r, struct news news) {
    if (news.first || news.prompt)
        writer_queue(r, news.first, news.prompt);
}

static bool is_large(const struct event_text *text) {
    return text->in_blob || text->n >= BLOB_MIN;
}

static bool has_large(const struct event *event) {
    for (size_t i = 0; i < event_texts(event->kind); i++)
        if (is_large(&event->texts[i]))
            return true;
    return false;
}

/* Makes *text one in a blob. Its digest comes later, unless it has one already. */
static int set_aside(struct event_text *text, struct large **list) {
    struct large *l = FAULT("journal.large") ? NULL : calloc(1, sizeof *l);
    if (!l)
        return ERROR_NOMEM;
    l->next = *list;
    *list = l;
    if (text->in_blob) {
        memcpy(l->digest, text->digest, DIGEST_SIZE);
        return 0;
    }
    l->n = (size_t)text->n;
    l->bytes = malloc(l->n);
    if (!l->bytes)
        return ERROR_NOMEM;
    memcpy(l->bytes, text->bytes, l->n);
    *text = (struct event_text){.n = text->n, .in_blob = true};
    return 0;
}

static struct frame *new_frame(struct journal_run *r) {
    struct frame *f = r->spare;
    r->spare = NULL;
    if (!f) {
        f = FAULT("journal.frame") ? NULL : calloc(1, sizeof *f);
        if (!f)
            return NULL;
        f->bytes = BUFFER_INIT(FRAME_MAX);
    }
    if (frame_begin(&f->bytes)) {
        frame_free(f);
        return NULL;
    }
    return f;
}

static struct frame *frame_to_fill(struct journal_run *r) {
    struct pending *p = &r->pending;
    if (p->last && p->last->bytes.size < FRAME_FULL)
        return p->last;
    struct frame *f = new_frame(r);
    if (f && p->last)
        p->last->next = f;
    else if (f)
        p->first = f;
    if (f)
        p->last = f;
    return f;
}

/* Where the digests of a written event's texts are, as far as they lie in blobs; `large` has them last first. */
static void place_digests(struct frame *f, const struct event *event, struct large **large) {
    size_t end = f->bytes.size;
    for (size_t i = event_texts(event->kind); i-- > 0;) {
        const struct event_text *text = &event->texts[i];
        if (text->in_blob) {
            struct large *l = *large;
            *large = l->next;
            l->at = end - DIGEST_SIZE;
            l->next = f->large;
            f->large = l;
        }
        end -= event_text_size(text);
    }
}

static int add(struct journal_run *r, const struct event *event, struct large **large) {
    struct frame *f = frame_to_fill(r);
    if (!f)
        return ERROR_NOMEM;
    size_t before = f->bytes.size, size = 0;
    int status = event_write(&f->bytes, &f->time, event);
    if (status)
        return status;
    for (const struct large *l = *large; l; l = l->next)
        size += l->n;
    if (*large)
        place_digests(f, event, large);
    size += f->bytes.size - before;
    r->pending.bytes += size;
    atomic_fetch_add_explicit(&r->journal->waiting_bytes, size, memory_order_relaxed);
    return 0;
}

static void fail_append(struct journal_run *r, int status) {
    struct error why;
    if (status == ERROR_NOMEM)
        error_set(&why, status, "out of memory while recording run %s", r->id);
    else
        error_set(&why, ERROR_INTERNAL, "an event of run %s can't be recorded", r->id);
    fail_locked(r, &why);
}

uint64_t journal_append(struct journal_run *r, const struct event *event, bool prompt) {
    CLEANUP(large_cleanup) struct large *large = NULL;
    struct event aside;
    int status = 0;
    if (has_large(event)) {
        aside = *event;
        event = &aside;
        for (size_t i = 0; i < event_texts(aside.kind) && status == 0; i++)
            status = is_large(&aside.texts[i]) ? set_aside(&aside.texts[i], &large) : 0;
    }
    pthread_mutex_lock(&r->lock);
    uint64_t position = ++r->position;
    if (!r->failed && status == 0)
        status = add(r, event, &large);
    if (status) {
        fail_append(r, status);
        prompt = true;
    }
    r->pending.position = position;
    struct news news = note(r, prompt);
    pthread_mutex_unlock(&r->lock);
    tell(r, news);
    return position;
}

/* False without memory; a NULL text is fine. */
static bool copy_word(const char *text, char **ret) {
    *ret = text && !FAULT("journal.word") ? strdup(text) : NULL;
    return *ret || !text;
}

uint64_t journal_set_state(struct journal_run *r, enum journal_state state, int final_state, uint64_t wake,
                           const char *waits_for, const char *error_type) {
    struct state_change change = {.set = true, .state = state, .final_state = final_state, .wake = wake};
    bool copied = copy_word(waits_for, &change.waits_for);
    copied = copy_word(error_type, &change.error_type) && copied;
    pthread_mutex_lock(&r->lock);
    uint64_t position = ++r->position;
    change.known = r->told;
    change_done(&r->pending.change);
    r->pending.change = change;
    r->pending.position = position;
    if (!copied)
        fail_append(r, ERROR_NOMEM);
    struct news news = note(r, state != JOURNAL_RUNNING);
    pthread_mutex_unlock(&r->lock);
    tell(r, news);
    return position;
}

/* --- waiting --- */

uint64_t journal_committed(const struct journal_run *r) {
    return atomic_load_explicit(&r->committed, memory_order_acquire);
}

void journal_flush(struct journal_run *r) {
    pthread_mutex_lock(&r->lock);
    struct news news = {.prompt = r->queued && !r->prompt};
    r->prompt |= news.prompt;
    pthread_mutex_unlock(&r->lock);
    tell(r, news);
}

int journal_await(struct journal_run *r, uint64_t position, struct error *err) {
    if (journal_committed(r) >= position)
        return 0;
    journal_flush(r);
    pthread_mutex_lock(&r->lock);
    r->waiting++;
    while (journal_committed(r) < position && !r->failed)
        pthread_cond_wait(&r->changed, &r->lock);
    r->waiting--;
    int status = journal_committed(r) >= position ? 0 : r->why.code;
    if (status && err)
        *err = r->why;
    pthread_mutex_unlock(&r->lock);
    return status;
}

void journal_throttle(struct journal_run *r) {
    struct journal *j = r->journal;
    if (atomic_load_explicit(&j->waiting_bytes, memory_order_relaxed) <= WAITING_MAX)
        return;
    pthread_mutex_lock(&j->lock);
    j->throttled++;
    while (atomic_load_explicit(&j->waiting_bytes, memory_order_relaxed) > WAITING_MAX) {
        j->prompt = true;
        pthread_cond_signal(&j->wake);
        pthread_cond_wait(&j->room, &j->lock);
    }
    j->throttled--;
    pthread_mutex_unlock(&j->lock);
}

void journal_watch(struct journal_run *r, bool on, uint64_t after) {
    struct journal *j = r->journal;
    pthread_mutex_lock(&r->lock);
    bool before = r->watching;
    r->watching = on;
    if (after > r->told)
        r->told = after;
    pthread_mutex_unlock(&r->lock);
    pthread_mutex_lock(&j->lock);
    j->watching += (unsigned)on - (unsigned)before;
    j->look |= on;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void journal_run_close(struct journal_run *r) {
    if (!r)
        return;
    journal_watch(r, false, 0);
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    struct news news = note(r, true);
    pthread_mutex_unlock(&r->lock);
    tell(r, news);
    pthread_mutex_lock(&r->lock);
    while (!r->closed)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    run_unmake(r);
}

/* --- the writer's side --- */

bool run_take_pending(struct journal_run *r) {
    pthread_mutex_lock(&r->lock);
    r->writing = r->pending;
    r->pending = (struct pending){0};
    r->queued = r->prompt = false;
    r->release = r->closing;
    bool failed = r->failed;
    pthread_mutex_unlock(&r->lock);
    return !failed;
}

/* The memory of one frame serves again. */
static struct frame *take_spare(struct pending *p) {
    struct frame *f = p->first;
    if (!f || f->bytes.capacity > FRAME_KEPT)
        return NULL;
    p->first = f->next;
    f->next = NULL;
    f->time = 0;
    large_free(f->large);
    f->large = NULL;
    buffer_clear(&f->bytes);
    return f;
}

void run_committed(struct journal_run *r) {
    struct frame *spare = take_spare(&r->writing);
    pthread_mutex_lock(&r->lock);
    if (!r->spare) {
        r->spare = spare;
        spare = NULL;
    }
    atomic_store_explicit(&r->committed, r->writing.position, memory_order_release);
    if (r->waiting)
        pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    frame_free(spare);
}
