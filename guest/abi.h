/* The contract between host and guests.
 *
 * A guest exports `memory` and
 *   guest_alloc(n) -> address            n bytes for a message to it, 0 if there's no memory
 *   guest_boot() -> 0                    starts the interpreter; taken into the base image
 *   guest_load(address, n) -> reply      imports an application; taken into the application image
 *   guest_call(address, n) -> reply      runs one task, once per sandbox
 * All consume the message they're given. A reply is (u64)address << 32 | size of a message in guest memory, valid until the sandbox ends.
 *
 * It imports WASI preview 1 and, from module "capsule":
 *   op_submit(address, n) -> op          starts a host operation; > 0, or a negative GUEST_E_ code
 *   op_wait(ops, n, timeout_ns) -> i     parks until one of n (u32[]) operations is done; its index, or GUEST_E_TIMEOUT
 *                                        (timeout_ns < 0: none)
 *   op_next(ids, capacity, timeout_ns) -> n   parks until operations are done that it hasn't told of; writes the ids (u32[]) of up to
 *                                        capacity of them, in the order in which they were done; or GUEST_E_TIMEOUT (timeout_ns < 0: none)
 *   op_take(op, address, capacity) -> n  copies the reply and frees the operation; if n > capacity nothing happened;
 *                                        GUEST_E_PENDING while it isn't done
 *   op_cancel(op) -> 0                   asks the host to end it soon; it's still done once, by an error "cancelled" unless it was
 *                                        quicker, and its reply has to be taken; GUEST_E_NO_SUCH_OP
 *   fuel_left() -> i64                   what this attempt may still use, host work included
 *
 * A message is a u32 (little-endian) header length, a JSON object of that length, and a raw body up to its end.
 *
 * load   Python: header {"entry": "/project/main.py", "module": "main", "path": ["/project", …]}
 *        JavaScript: header {"entry": "/project/main.ts", "code": bytes}, body: a bundle of that size, an ES module; behind it its source map
 *        reply  {"ok": true, "tasks": [{"name","qualname","file","line","async","options":{…}}]} or an error
 * call   header {"task", "run_id", "task_id", "attempt" (from 1), "key", "deadline_ns"? (wall clock), "env"? {…}, "outer": bool,
 *                "tagged": bool}, body [args array, kwargs object]. outer: the caller is outside: plain JSON mapping of values;
 *                tagged: the body uses the "$…" forms of docs/reference/values.md.
 *        reply  {"ok": true, "tagged": bool, "async"?: true}, body: the result as JSON; or an error. async: it came by a promise, although the task's
 *        function doesn't say so; passed on to the caller.
 * error  {"ok": false, "async"?: true, "error": {"type", "class"?, "message", "traceback"?, "retry": bool}}
 *
 * Operations (hostcalls.def): a message's header names the kind in "op". All may end in an error as above, without "retry" and
 * "traceback".
 *
 * task.call      {"task": name, "tagged": bool}, body [args, kwargs]; reply as for call, its error with "execution" beside it.
 * http.request   {"method", "url", "headers": [[name, value], …], "timeout_ms"?, "redirects"?: 0 … 10 (10), "stream": bool, "upload": bool,
 *                "whole"?: bytes, "length"?}, body: the request's. Its number names the request from now on.
 *                upload: the body comes by http.write instead ("length" bytes, where given).
 *                reply {"ok": true, "status", "version": "1.1" | "2", "url" (after redirects), "redirected": bool,
 *                "headers": [[name, value], …], "stream": bool}, body: the response's, decompressed, unless stream: then the reply comes with
 *                the head and the body by http.read. whole: of a stream whose body is announced not to be longer, the reply comes with the body, as
 *                if stream hadn't been asked for.
 * http.read      {"request": op, "max": bytes}; reply {"ok": true, "end": bool}, body: at least a byte unless end.
 * http.write     {"request": op, "end": bool}, body: the next part; reply {"ok": true} when there's room for more.
 * http.close     {"request": op}: ends it, whatever is left unread or unwritten; reply {"ok": true}. Needed unless the reply wasn't a
 *                stream, or the end was read, or something failed.
 * sleep          {"duration_ns"} or {"until_ns" (wall clock)}; reply {"ok": true} when the time has come, however often the run was suspended or resumed
 *                meanwhile.
 * signal.wait    {"name", "timeout_ns"?}; reply {"ok": true}, body: the signal's JSON value; errors "timeout" (none came in time) and "policy" (nothing can
 *                signal this run, since it isn't recorded). Each signal is taken once, by the operation that has waited longest for its name.
 * http errors    {"type": "policy" | "bad_input" | "http_error" | "cancelled", "kind", "message"}; kind: docs/reference/http.md. */
#ifndef GUEST_ABI_H
#define GUEST_ABI_H

enum {
    GUEST_E_TIMEOUT = -1, /* op_wait: none was done in time */
    GUEST_E_PENDING = -2, /* op_take: not done yet */
    GUEST_E_NO_SUCH_OP = -3,
    GUEST_E_BAD_MESSAGE = -4, /* malformed, or longer than the limit */
    GUEST_E_TOO_MANY = -5,    /* more open operations than the limit */
    GUEST_E_FORBIDDEN = -6,   /* not while an image is being built */
};

enum {
    GUEST_MESSAGE_MAX = 64 * 1024 * 1024, /* bytes, header and body */
    GUEST_HEADER_MAX = 1024 * 1024,
    GUEST_MESSAGE_SMALL =
        2000,              /* up to this a guest should serve guest_alloc from one page that it writes to anyway */
    GUEST_OPS_MAX = 16384, /* open at once in one sandbox */
    GUEST_SIGNAL_NAME_MAX = 128, /* bytes of a signal's name */
};

enum guest_operation {
#define OPERATION(name, kind) OPERATION_##name,
#include "hostcalls.def"
#undef OPERATION
};

#endif
