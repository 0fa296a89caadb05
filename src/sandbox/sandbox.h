/* One sandbox: a guest instance over a memory image, from opening to reset.
 *
 * Life: sandbox_open → sandbox_begin → sandbox_poll until it ends, with sandbox_complete for each operation that it submitted →
 * its outcome and reply are read → sandbox_close, which resets its slot. A sandbox serves one call (the image builder: several in a row).
 * It shares nothing with others but read-only pages.
 * Thread rule: one thread at a time; it may change threads between calls. Only sandbox_complete and sandbox_untaken may be called beside it. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "sandbox/engine.h"
#include "sandbox/image.h"
#include "sandbox/wasi.h"
#include <stdbool.h>
#include <stdint.h>

struct sandbox;

/* Calls back into the room above. They run inside sandbox_poll; output and trace come by way of wasi_options. */
struct sandbox_host {
    /* The guest started an operation; header is its message's JSON object, both valid during the call only. 0, or a GUEST_E_ code for the
     * guest. It's ended by sandbox_complete, at once or later. NULL: every operation is GUEST_E_FORBIDDEN. */
    int32_t (*submit)(void *user, uint32_t op, const json_value *header, const char *body, size_t body_n);
    /* The guest wants an operation, which isn't complete, to end soon. It still has to be completed. */
    void (*cancel)(void *user, uint32_t op);
    /* The tape has grown by TAPE_PORTION since it was taken. NULL: there's no tape. */
    void (*tape)(void *user);
    void *user;
};

struct sandbox_options {
    struct engine *engine;
    const struct guest_module *module;
    struct image *image;
    struct slot_pool *slots;
    uint64_t fuel;
    uint64_t ram; /* bytes of linear memory, at most */
    struct wasi_options wasi;
    struct sandbox_host host;
    /* Record a tape (tape.h), after replaying these bytes (NULL: none; borrowed until the sandbox is closed). */
    bool taped;
    const char *replay;
    size_t replay_n;
};

enum sandbox_state {
    SANDBOX_RUNNABLE, /* used up its slice: poll it again */
    SANDBOX_PARKED,   /* waits: poll it when sandbox_ready says so */
    SANDBOX_ENDED
};

enum sandbox_end {
    SANDBOX_RETURNED, /* the guest's function returned: see sandbox_reply */
    SANDBOX_EXITED,   /* the guest ended its process: see sandbox_exit_code */
    SANDBOX_TRAPPED,  /* see sandbox_trap */
    SANDBOX_OUT_OF_FUEL,
    SANDBOX_OUT_OF_MEMORY, /* it trapped after more memory was denied to it */
    SANDBOX_OUTPUT_LIMIT,  /* it wrote too much to its standard output and error */
    SANDBOX_DIVERGED /* it didn't do in its replay what it did before, or can't be recorded: see sandbox_trap */
};

int sandbox_open(const struct sandbox_options *options, struct sandbox **ret, struct error *err);
/* At any time, also while parked or in the middle of a slice's wait: what runs is unwound. NULL is fine. */
void sandbox_close(struct sandbox *sandbox);

/* Starts an exported function without a message (n == 0 and message NULL), or with one: header and body as in guest/abi.h. */
int sandbox_begin(struct sandbox *sandbox, const char *function, struct error *err);
int sandbox_begin_message(struct sandbox *sandbox, const char *function, const char *header, size_t header_n,
                          const char *body, size_t body_n, struct error *err);
enum sandbox_state sandbox_poll(struct sandbox *sandbox);

/* Of a parked one: whether polling it now gets it further; and when its wait ends by itself (monotonic ns, UINT64_MAX: never). */
bool sandbox_ready(struct sandbox *sandbox, uint64_t now_ns);
uint64_t sandbox_wake_time(const struct sandbox *sandbox);

/* Ends an operation with a reply message (see message_new), which is taken over. Unknown and ended operations are ignored. From any
 * thread, as long as the sandbox is open. */
void sandbox_complete(struct sandbox *sandbox, uint32_t op, char *message, size_t n);
/* Bytes of replies that the guest hasn't taken. From any thread, as above. */
uint64_t sandbox_untaken(struct sandbox *sandbox);

/* Appends what its tape recorded since the last time. To be called on the sandbox's thread, in host callbacks too. */
int sandbox_take_tape(struct sandbox *sandbox, struct buffer *to);
/* Whether it's still being replayed. */
bool sandbox_replays(const struct sandbox *sandbox);

/* Of an ended one. */
enum sandbox_end sandbox_end(const struct sandbox *sandbox);
uint32_t sandbox_exit_code(const struct sandbox *sandbox);
const char *sandbox_trap(const struct sandbox *sandbox); /* in words; "" if none */
uint32_t
sandbox_result_u32(const struct sandbox *sandbox); /* the returned value of a function that gives no message */
/* The reply message of a function that gives one, in guest memory: valid until the sandbox is polled or closed. ERROR_INVALID if it's
 * malformed or out of range. */
int sandbox_reply(const struct sandbox *sandbox, const char **ret_header, size_t *ret_header_n,
                  const char **ret_body, size_t *ret_body_n, struct error *err);

uint64_t sandbox_fuel_used(const struct sandbox *sandbox);
uint64_t sandbox_ram(const struct sandbox *sandbox);       /* bytes of linear memory; it never shrinks */
bool sandbox_memory_denied(const struct sandbox *sandbox); /* it asked for more than it may have */

/* Writes the memory of an ended, quiescent sandbox to fd as an image, with an inbox for the first message. ERROR_PROJECT if something
 * of the guest is still open. */
int sandbox_snapshot(struct sandbox *sandbox, int fd, struct image_info *ret, struct error *err);

#endif
