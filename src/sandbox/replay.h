/* Operations with a tape: what submitting, waiting, taking and asking for fuel leave on it, and what they come to in a replay.
 *
 * Thread rule: as the sandbox that they belong to. */
#ifndef SANDBOX_REPLAY_H
#define SANDBOX_REPLAY_H

#include "sandbox/operation.h"
#include "sandbox/tape.h"

/* A message is about to be submitted. True: in the replay it wasn't accepted, and *ret is the code that the guest gets. */
bool taped_submit(struct tape *t, const char *message, size_t n, int32_t *ret);
/* It wasn't accepted. */
void record_refused(struct tape *t, int32_t code);

/* What op_wait and op_next came to; ids: where op_next wrote them. */
void record_waited(struct tape *t, int32_t result);
void record_told(struct tape *t, const void *ids, int32_t result);
int32_t replay_waited(struct tape *t, struct operation_table *operations, const uint32_t *ids, uint32_t n);
int32_t replay_told(struct tape *t, struct operation_table *operations, void *ids, uint32_t capacity);

/* What op_take comes to before the reply is copied: result, or that it wasn't done yet then. */
int32_t taped_take(struct tape *t, uint32_t id, int32_t result);
uint64_t taped_fuel(struct tape *t, uint64_t left);

#endif
