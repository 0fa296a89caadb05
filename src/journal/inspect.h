/* Recorded runs as JSON, for people and programs that look at them; docs/reference/journal.md names the members.
 *
 * Reads only. What it tells of a run is what is on record at that moment: a run that goes on meanwhile may have moved. Everything read is
 * treated as hostile. Thread-safe, as the journal is. */
#ifndef JOURNAL_INSPECT_H
#define JOURNAL_INSPECT_H

#include "base/buffer.h"
#include "base/error.h"
#include "journal/journal.h"

enum {
    INSPECT_JSON_MAX = 1 << 30, /* bytes of one view */
    INSPECT_LISTED_MAX = 1000,  /* retries, requests or waits of one task that are listed; the rest are counted */
    INSPECT_VALUE_MAX = BLOB_MIN, /* bytes of a result or a signal's value that is told, not only its size */
    INSPECT_TASKS_MAX = 1 << 24,  /* of one run */
};

/* "completed" and so on, for a number of capsule.h's capsule_state; "unknown". Static. */
const char *inspect_state_name(int state);
/* The state of a run: its final one once it has ended; "interrupted" while it runs for a process that is dead. Static. */
const char *inspect_state(const struct journal_row *row);

/* Appends the runs as an array. ERROR_LIMIT when they're too many. */
int inspect_list(struct journal *j, const struct journal_filter *filter, struct buffer *to, struct error *err);
/* Appends one run with its tasks as an object. ERROR_NOT_FOUND and ERROR_INVALID as journal_find. */
int inspect_run(struct journal *j, const char *id, struct buffer *to, struct error *err);

#endif
