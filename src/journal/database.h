/* SQLite as the journal uses it: one connection, statements by their text, errors in our terms.
 *
 * Nobody outside of journal/ includes it. Thread rule: a connection belongs to one thread at a time. */
#ifndef JOURNAL_DATABASE_H
#define JOURNAL_DATABASE_H

#include "base/buffer.h"
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct database;

/* How long another process's transaction is waited for. */
#define DATABASE_BUSY_NS (10 * UINT64_C(1000000000))

/* dir: the journal's folder. create: makes journal.db and its tables if they're missing. Errors as journal_open tells them. */
int database_open(const char *dir, bool writable, bool create, struct database **ret, struct error *err);
void database_close(struct database *d); /* NULL is fine */
void database_cleanup(struct database **d);

/* --- statements --- */

/* A prepared statement, kept by the connection under the address of its text, which is therefore a constant. */
struct query;
int database_query(struct database *d, const char *sql, struct query **ret, struct error *err);
/* Makes it ready for the next use: `CLEANUP(query_done) struct query *q = NULL`. */
void query_done(struct query **q);
/* Set the parameters in their order. Texts and bytes are kept by reference; NULL is NULL. */
void query_put(struct query *q, uint64_t v);
void query_put_text(struct query *q, const char *text);
void query_put_bytes(struct query *q, const void *bytes, size_t n);
/* 1: a row, whose columns are valid until the next step; 0: no more; or an error. */
int query_step(struct query *q, struct error *err);
uint64_t query_u64(struct query *q, int column);
const char *query_text(struct query *q, int column); /* may be NULL */
const char *query_bytes(struct query *q, int column, size_t *ret_n);

/* Runs a statement without parameters and rows. */
int database_run(struct database *d, const char *sql, struct error *err);
uint64_t database_changes(struct database *d);  /* rows that the last statement changed */
uint64_t database_last_row(struct database *d); /* rowid of the last row inserted */
/* The last statement failed because its row is there already. */
bool database_exists(struct database *d);

/* --- transactions --- */

/* Rolled back when it goes out of scope without transaction_commit: `CLEANUP(transaction_done) struct transaction t = {0}`. */
struct transaction {
    struct database *database;
};
/* Has the right to write from the beginning. synced: commit returns when it's on the disk, with all that was committed before. */
int transaction_begin(struct transaction *t, struct database *d, bool synced, struct error *err);
int transaction_commit(struct transaction *t, struct error *err);
void transaction_done(struct transaction *t);

/* --- care --- */

/* A number that's another one after any other connection has changed the database; 0 if it can't be read. */
uint64_t database_version(struct database *d);
/* Pages in the write-ahead log after our last commit. */
unsigned database_log_pages(struct database *d);
/* Moves the log into the database file, as far as readers permit; `truncate`: and empties it, if nobody else is there. Waits for nobody. */
void database_checkpoint(struct database *d, bool truncate);
/* Gives free pages back to the file system. */
int database_shrink(struct database *d, struct error *err);
/* SQLite's own check; a line for each problem. */
int database_check(struct database *d, struct buffer *ret_problems, struct error *err);

#endif
