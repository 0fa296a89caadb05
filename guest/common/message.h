/* Messages of guest/abi.h as bytes: u32 header length, header, body. */
#ifndef GUEST_COMMON_MESSAGE_H
#define GUEST_COMMON_MESSAGE_H

#include "abi.h"
#include <stddef.h>
#include <stdint.h>

struct message {
    const char *header, *body; /* into the bytes that were parsed */
    size_t header_n, body_n;
};

/* Memory for a message of n bytes, NULL if there is none. A small message and the reply to it share a page. */
void *message_alloc(size_t n);
void message_free(void *message);

/* Returns 0 and a message, or -1 when the lengths don't fit. */
int message_parse(const uint8_t *bytes, size_t n, struct message *ret);

/* A message from its parts, as an exported function returns it; 0 if there's no memory or it is too long. A short one needs no
 * memory and is valid until the next one; a long one is never freed: a sandbox ends after its reply. */
uint64_t message_pack(const char *header, size_t header_n, const char *body, size_t body_n);

/* The same from a short header alone; never fails. */
uint64_t message_constant(const char *header, size_t header_n);

/* Replies that every guest has. The header of most successes: */
extern const char MESSAGE_PLAIN[];
enum { MESSAGE_PLAIN_N = 26 };
uint64_t message_out_of_memory(void);
uint64_t message_not_a_message(void); /* what came isn't one, or not in UTF-8 */
uint64_t message_broken(void);        /* the interpreter failed while it reported a failure */

/* Writes the parts to `to`, which has room for 4 + header_n + body_n bytes. */
void message_write(uint8_t *to, const char *header, size_t header_n, const char *body, size_t body_n);

#endif
