/* The journal as embedders see it (capsule_journal): two views of one folder, so that who only looks writes nothing. */
#ifndef RUN_JOURNAL_API_H
#define RUN_JOURNAL_API_H

#include "base/error.h"
#include "capsule.h"
#include "journal/journal.h"
#include <pthread.h>

#define JOURNAL_FOLDER ".capsule"

struct capsule_journal {
    struct journal *reader;
    pthread_mutex_t lock;   /* for the writer */
    struct journal *writer; /* NULL until somebody changes something */
};

/* The view that changes things. Borrowed. */
int journal_api_writer(struct capsule_journal *journal, struct journal **ret, struct error *err);

#endif
