/* Owns the client's thread: its inbox, its clock, and the order in which things are done.
 *
 * Other threads put errands into the inbox and wake the thread; it does them in that order, so a request, its cancellation and the closing of its
 * session can't overtake each other. Everything else belongs to the thread alone and needs no lock.
 *
 * Invariants: the inbox is empty and nothing is due when the thread sleeps; it sleeps no longer than until next_check. */
#define _GNU_SOURCE 1
#include "net/curl_library.h"
#include "net/http_internal.h"

#include "base/clock.h"
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SLEEP_MAX_MS = 60 * 1000 };

int http_client_new(const char *folder, struct http_client **ret, struct error *err) {
    struct http_client *client = FAULT("http.client") ? NULL : calloc(1, sizeof *client);
    if (client)
        client->folder = strdup(folder);
    if (!client || !client->folder) {
        free(client);
        return error_set(err, ERROR_NOMEM, "out of memory while preparing for HTTP");
    }
    pthread_mutex_init(&client->lock, NULL);
    client->inbox_end = &client->inbox;
    client->next_check = UINT64_MAX;
    *ret = client;
    return 0;
}

int http_client_check(const char *folder, struct error *err) {
    return curl_library_load(folder, err);
}

static struct http_errand *take_inbox(struct http_client *client) {
    pthread_mutex_lock(&client->lock);
    struct http_errand *errands = client->inbox;
    client->inbox = NULL;
    client->inbox_end = &client->inbox;
    pthread_mutex_unlock(&client->lock);
    return errands;
}

static void do_errands(struct http_client *client) {
    for (struct http_errand *next, *errand = take_inbox(client); errand; errand = next) {
        next = errand->next;
        http_errand_do(errand);
    }
}

static void move_queues(struct http_client *client) {
    if (client->held && !http_transfers_full(client->transfers)) {
        client->held = false;
        for (struct http_session *s = client->sessions; s; s = s->next)
            http_client_due(s);
    }
    while (client->due) {
        struct http_session *s = client->due;
        client->due = s->next_due;
        s->due = false;
        http_session_pump(s);
    }
}

static void check_times(struct http_client *client) {
    uint64_t now = clock_monotonic_ns();
    if (now < client->next_check)
        return;
    client->next_check = UINT64_MAX;
    for (struct http_session *s = client->sessions; s; s = s->next)
        http_client_check_at(client, http_session_check_times(s, now));
}

/* How long the thread may sleep; 0 if there's something to do. */
static int begin_sleep(struct http_client *client) {
    uint64_t now = clock_monotonic_ns(), span = client->next_check > now ? client->next_check - now : 0;
    pthread_mutex_lock(&client->lock);
    bool busy = client->inbox != NULL || client->stopping;
    client->sleeping = !busy;
    pthread_mutex_unlock(&client->lock);
    if (busy || client->due)
        return 0;
    /* Rounded up, or it would wake just before its time and turn in a circle. */
    return span / NS_PER_MS >= SLEEP_MAX_MS ? SLEEP_MAX_MS : (int)(span / NS_PER_MS) + 1;
}

static bool end_sleep(struct http_client *client) {
    pthread_mutex_lock(&client->lock);
    client->sleeping = false;
    bool stopping = client->stopping && !client->inbox;
    pthread_mutex_unlock(&client->lock);
    return stopping;
}

static void *run(void *user) {
    struct http_client *client = user;
    do {
        do_errands(client);
        move_queues(client);
        http_transfers_run(client->transfers);
        check_times(client);
        move_queues(client);
        http_transfers_wait(client->transfers, begin_sleep(client));
    } while (!end_sleep(client));
    return NULL;
}

/* With the lock held. */
static int start(struct http_client *client, struct error *err) {
    if (!client->transfers && http_transfers_new(client->folder, &client->transfers, err))
        return err ? err->code : ERROR_INTERNAL;
    sigset_t all, before;
    sigfillset(&all);
    /* Signals are for the threads of whoever runs us. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = FAULT("http.thread") ? EAGAIN : pthread_create(&client->thread, NULL, run, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_errno(err, ERROR_UNSUPPORTED, failed, "the thread for HTTP can't be started");
    pthread_setname_np(client->thread, "capsule-http");
    client->started = true;
    return 0;
}

void http_client_free(struct http_client *client) {
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->stopping = true;
    pthread_mutex_unlock(&client->lock);
    if (client->started) {
        http_transfers_wake(client->transfers);
        pthread_join(client->thread, NULL);
    }
    http_transfers_free(client->transfers);
    pthread_mutex_destroy(&client->lock);
    free(client->folder);
    free(client);
}

void http_client_send(struct http_client *client, struct http_errand *errand) {
    errand->next = NULL;
    pthread_mutex_lock(&client->lock);
    *client->inbox_end = errand;
    client->inbox_end = &errand->next;
    bool wake = client->sleeping;
    client->sleeping = false; /* one call is enough */
    pthread_mutex_unlock(&client->lock);
    if (wake)
        http_transfers_wake(client->transfers);
}

int http_client_ensure(struct http_client *client, struct error *err) {
    pthread_mutex_lock(&client->lock);
    int status = client->started ? 0 : start(client, err);
    pthread_mutex_unlock(&client->lock);
    return status;
}

void http_client_know(struct http_session *s) {
    if (s->known)
        return;
    s->known = true;
    s->next = s->client->sessions;
    if (s->next)
        s->next->prev = s;
    s->client->sessions = s;
}

void http_client_forget(struct http_session *s) {
    for (struct http_session **at = &s->client->due; s->due; at = &(*at)->next_due)
        if (*at == s) {
            *at = s->next_due;
            s->due = false;
            break;
        }
    if (!s->known)
        return;
    if (s->prev)
        s->prev->next = s->next;
    else
        s->client->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->known = false;
}

void http_client_due(struct http_session *s) {
    if (s->due || !s->known)
        return;
    s->due = true;
    s->next_due = s->client->due;
    s->client->due = s;
}

void http_client_check_at(struct http_client *client, uint64_t when) {
    if (when < client->next_check)
        client->next_check = when;
}
