/* Capsule: run tasks of Python, TypeScript and JavaScript programs, each call in a WebAssembly sandbox of its own.
 *
 * The only installed header. C99, usable from C++. Link with libcapsule.
 *
 *   capsule_runtime   one per process is enough: engine, guests, cache
 *   capsule_app       a program, loaded: its memory image and its tasks
 *   capsule_run       one run of an entry task, with every task that it calls
 *
 * Errors: a function that can fail returns 0 (CAPSULE_OK) or a negative CAPSULE_E_ code, leaves its outputs untouched then,
 * and fills *error (which may be NULL). A run whose task fails is no failure of the call: see capsule_run_wait.
 *
 * Ownership: what a function returns through a `ret_` pointer is the caller's, to be given back to the function named
 * there. A `const char *` return belongs to the object that it was asked of and lives as long as it.
 *
 * Threads: a runtime and an app may be used by many threads at once. A run belongs to the thread that waits for it, except
 * capsule_run_cancel. Text is UTF-8. Times are in nanoseconds unless a name says otherwise. */
#ifndef CAPSULE_H
#define CAPSULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAPSULE_API __attribute__((visibility("default")))

enum {
    CAPSULE_OK = 0,
    CAPSULE_E_NOMEM = -1,       /* out of memory */
    CAPSULE_E_IO = -2,          /* the operating system refused a file operation */
    CAPSULE_E_INVALID = -3,     /* an argument, option or document is malformed */
    CAPSULE_E_PROJECT = -4,     /* the project can't be run as it is */
    CAPSULE_E_IMPORT = -5,      /* the program failed while it was imported; the message is its traceback */
    CAPSULE_E_NOT_FOUND = -6,   /* no such task or object */
    CAPSULE_E_LIMIT = -7,       /* a stated limit was reached */
    CAPSULE_E_CORRUPT = -8,     /* stored data isn't what was written */
    CAPSULE_E_UNSUPPORTED = -9, /* this machine or installation can't do it */
    CAPSULE_E_CANCELLED = -10,  /* stopped on request */
    CAPSULE_E_INTERNAL = -11    /* a defect in Capsule */
};

typedef struct capsule_error {
    int code;
    char message[8192]; /* what happened, and where */
    char hint[512];     /* what to do about it; may be empty */
} capsule_error;

/* "0.1.0". */
CAPSULE_API const char *capsule_version(void);

/* ---- runtime ---------------------------------------------------------------------------------------------- */

typedef struct capsule_runtime capsule_runtime;

/* Zero-initialise, then set what differs. */
typedef struct capsule_runtime_options {
    const char
        *guest_dir; /* NULL: $CAPSULE_GUESTS, else lib/capsule or ../lib/capsule beside the program or library */
    const char *cache_dir; /* NULL: $CAPSULE_CACHE, else $XDG_CACHE_HOME/capsule, else ~/.cache/capsule */
    /* Threads that execute the tasks of one run at most: the one that waits for it, and jobs - 1 that all runs share, started when a run first has
     * work for them. 0: as many as this process may use cores. At most 256. */
    unsigned jobs;
    unsigned max_sandboxes; /* alive at once; a task waits for its turn. 0: 8,000, which is also the maximum */
    /* Called when something takes long enough to be told (compiling a guest for this machine, once). May be NULL. */
    void (*on_progress)(void *user, const char *what);
    void *user;
} capsule_runtime_options;

/* options may be NULL. Give back with capsule_close, after its apps.
 *
 * Two things of the process change: handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE are installed, since guests' traps arrive as these
 * (a handler that was there gets the signals that aren't a guest's; one installed later must pass on what it doesn't know); and malloc
 * keeps up to 16 MB of freed memory (mallopt M_TRIM_THRESHOLD), since every sandbox needs it again. */
CAPSULE_API int capsule_open(const capsule_runtime_options *options, capsule_runtime **ret_runtime,
                             capsule_error *error);
CAPSULE_API void capsule_close(capsule_runtime *runtime);

/* What this installation can do, as a JSON object: {"version", "guests": [{"name", "version", "ready"}], "engine",
 * "cache": {"path", "bytes", "objects", "writable"}, "kernel": {"release", "pagemap_scan", "openat2"},
 * "checks": [{"name", "ok", "detail", "fix"?}]}. Works on a runtime that couldn't prepare a guest.
 * Give back with capsule_free. */
CAPSULE_API int capsule_diagnose(capsule_runtime *runtime, char **ret_json, capsule_error *error);

/* Drops the least recently used cache entries until at most max_bytes remain (0: all).
 * Numbers of what went, and what is left; each may be NULL. */
CAPSULE_API int capsule_cache_prune(capsule_runtime *runtime, uint64_t max_bytes, uint64_t *ret_removed_objects,
                                    uint64_t *ret_removed_bytes, uint64_t *ret_left_bytes, capsule_error *error);

/* Frees text that a function above or below handed over. NULL is fine. */
CAPSULE_API void capsule_free(void *text);

/* ---- application ------------------------------------------------------------------------------------------ */

typedef struct capsule_app capsule_app;

typedef struct capsule_mount {
    const char *host; /* file or folder; relative: to the working directory */
    const char
        *guest; /* absolute, or relative to the project; NULL: the same relative name if it's inside the project,
                          else its absolute path */
    int writable;
} capsule_mount;

typedef struct capsule_variable {
    const char *name, *value; /* value NULL: from the process's environment or .env */
} capsule_variable;

typedef struct capsule_app_options {
    const capsule_mount *mounts; /* given to every task, in addition to its own */
    size_t mounts_n;
    const capsule_variable *variables; /* the same */
    size_t variables_n;
    uint64_t timeout; /* for every task without one of its own; 0: none */
    int no_cache;     /* build the image anew and don't keep it */
    /* Record runs, so that they survive the end of this process: in journal_dir, or (NULL) in the folder .capsule of the project's root. */
    int journal;
    const char *journal_dir;
    /* What the program writes to its standard output (1) and error (2) while it's imported, which happens only when its image is built.
     * NULL: discarded. Called during capsule_app_open. */
    void (*on_output)(void *user, int stream, const char *bytes, size_t bytes_n);
    void *user;
} capsule_app_options;

/* Loads a program: finds its project (capsule.toml), takes its image from the cache or builds it by importing the
 * program once, reads its tasks' options. file NULL: the entrypoint of the nearest capsule.toml.
 * CAPSULE_E_PROJECT, CAPSULE_E_IMPORT, CAPSULE_E_INVALID are the user's to mend; message and hint say how.
 * options may be NULL. Give back with capsule_app_close, after its runs. */
CAPSULE_API int capsule_app_open(capsule_runtime *runtime, const char *file, const capsule_app_options *options,
                                 capsule_app **ret_app, capsule_error *error);
CAPSULE_API void capsule_app_close(capsule_app *app);

/* The tasks and their policies, a JSON object: {"root", "entry", "tasks": [{"name", "file", "line", "fuel", "ram",
 * "timeout_ns", "max_retries", "allowed_files", …}]}. */
CAPSULE_API const char *capsule_app_describe(const capsule_app *app);

/* ---- run -------------------------------------------------------------------------------------------------- */

typedef struct capsule_run capsule_run;

/* created → running → completed | failed | timed_out | cancelled | interrupted; of a run also: suspended */
typedef enum capsule_state {
    CAPSULE_CREATED,
    CAPSULE_RUNNING,
    CAPSULE_COMPLETED,
    CAPSULE_FAILED,
    CAPSULE_TIMED_OUT,
    CAPSULE_CANCELLED,
    CAPSULE_INTERRUPTED,
    CAPSULE_SUSPENDED /* it waits for a signal or a time, without a process; see capsule_run_resume */
} capsule_state;

/* "created" and so on. */
CAPSULE_API const char *capsule_state_name(capsule_state state);

typedef enum capsule_event_kind {
    CAPSULE_EVENT_STATE,  /* a task changed its state */
    CAPSULE_EVENT_RETRY,  /* an attempt failed and another will follow */
    CAPSULE_EVENT_OUTPUT, /* a task wrote to its standard output or error */
    CAPSULE_EVENT_REQUEST /* an HTTP request of a task ended */
} capsule_event_kind;

/* Valid during the callback only. */
typedef struct capsule_event {
    capsule_event_kind kind;
    uint64_t time; /* wall clock, ns since 1970 */
    const char *run_id;
    uint32_t task_id;   /* 1 is the entry task; a call gets the next number */
    uint32_t parent_id; /* 0 for the entry task */
    const char *task_name;
    uint32_t attempt; /* from 1 */
    capsule_state state;
    /* STATE of an ended task, RETRY: */
    const char *error_type, *error_message; /* NULL unless it failed */
    uint64_t duration;                      /* ns since the task was created */
    uint64_t fuel, ram;                     /* consumed in all attempts; largest linear memory in bytes */
    uint64_t delay;                         /* RETRY: until the next attempt */
    /* OUTPUT: */
    int stream; /* 1 or 2 */
    const char *bytes;
    size_t bytes_n;
    /* REQUEST; each redirect is one: */
    const char *method, *url;  /* userinfo and values of the query masked */
    int status;                /* 0: there was no response */
    uint64_t request_duration; /* ns */
    uint64_t response_bytes;   /* of the body, as received */
} capsule_event;

/* Called on a thread of the run's, not always the same, one call at a time per run. It tells what happens, which may be before it's on record; what
 * capsule_run_wait returns is. A resumed run tells nothing of tasks that had ended. While it runs the run stands still. It may call capsule_run_cancel
 * and nothing else. */
typedef void (*capsule_event_callback)(void *user, const capsule_event *event);

typedef struct capsule_run_options {
    const char *task;        /* NULL: the task named main, or the only one */
    const char *args_json;   /* a JSON array of positional arguments; NULL: none */
    const char *kwargs_json; /* a JSON object of keyword arguments; NULL: none */
    const char *run_id;      /* [A-Za-z0-9_.-]{1,128}; NULL: a new UUID (version 7) */
    uint64_t timeout;        /* for the whole run, ns; 0: none */
    /* Of recorded runs: */
    int durable; /* what is acknowledged survives the loss of power, not only the death of the process */
    int wait;    /* wait here for signals and times instead of being suspended */
    uint64_t suspend_after; /* suspend when there's nothing to do for longer than this, ns; 0: a minute */
    capsule_event_callback on_event;
    void *user;
} capsule_run_options;

/* Prepares a run; nothing of it executes yet. options may be NULL. CAPSULE_E_NOT_FOUND: no such task; CAPSULE_E_PROJECT: no entry
 * task can be chosen; CAPSULE_E_INVALID: arguments aren't JSON. Give back with capsule_run_free. */
CAPSULE_API int capsule_run_new(capsule_app *app, const capsule_run_options *options, capsule_run **ret_run,
                                capsule_error *error);

/* Opens the application that a recorded run belongs to, as it was when the run began: its image, arguments and environment. Of options only
 * on_output and user are looked at. CAPSULE_E_NOT_FOUND: no such run, or the image is gone and can't be built again. */
CAPSULE_API int capsule_app_reopen(capsule_runtime *runtime, const char *journal_dir, const char *run_id,
                                   const capsule_app_options *options, capsule_app **ret_app,
                                   capsule_error *error);
/* Goes on with a recorded run, as capsule_run_new does with a new one: what is on record isn't done again. Of options, timeout, wait, on_event and user are
 * looked at. Of a run that has ended, capsule_run_wait returns at once what it came to. CAPSULE_E_CANCELLED: another process executes it. */
CAPSULE_API int capsule_run_resume(capsule_app *app, const char *run_id, const capsule_run_options *options,
                                   capsule_run **ret_run, capsule_error *error);
/* Whether a run that was resumed had ended before, so that there's nothing to execute. */
CAPSULE_API int capsule_run_had_ended(const capsule_run *run);
/* Its id. */
CAPSULE_API const char *capsule_run_id(capsule_run *run);
/* Of a suspended one: what it waits for, in words. */
CAPSULE_API const char *capsule_run_waits_for(capsule_run *run);

/* Runs it to its end and returns how it ended: CAPSULE_COMPLETED … CAPSULE_INTERRUPTED; or CAPSULE_SUSPENDED; or a negative code when Capsule itself
 * couldn't go on, of a recorded run with everything that was acknowledged on record. Once per run. */
CAPSULE_API int capsule_run_wait(capsule_run *run, capsule_error *error);

/* Ends the run's tasks, children first, as cancelled, within a slice (about 1 ms). From any thread, any callback, or a signal
 * handler; any number of times; before, during or after capsule_run_wait. */
CAPSULE_API void capsule_run_cancel(capsule_run *run);
/* Stops executing a recorded run here, as if this process had been killed, but in good order: it isn't ended on record, and can be resumed.
 * capsule_run_wait returns CAPSULE_INTERRUPTED. Of a run that isn't recorded as capsule_run_cancel, and to be called like that. */
CAPSULE_API void capsule_run_leave(capsule_run *run);

/* After capsule_run_wait: the result as JSON, NULL unless completed. */
CAPSULE_API const char *capsule_run_result(capsule_run *run);
/* The error's type (timeout, task_error, …) and message; NULL when completed. */
CAPSULE_API const char *capsule_run_error_type(capsule_run *run);
CAPSULE_API const char *capsule_run_error_message(capsule_run *run);
/* The name of the exception's class, as the program knows it; NULL if no exception was the reason. */
CAPSULE_API const char *capsule_run_error_class(capsule_run *run);
CAPSULE_API const char *capsule_run_error_traceback(capsule_run *run);
/* The envelope {"success", "result", "error", "execution": {…}} as JSON. NULL when out of memory. */
CAPSULE_API const char *capsule_run_envelope(capsule_run *run);

CAPSULE_API void capsule_run_free(capsule_run *run);

/* ---- journal: looking at recorded runs, and reaching them from outside ----------------------------------------- */

typedef struct capsule_journal capsule_journal;

/* The journal of the project that `place` (a folder; NULL: the working directory) lies in: that of the nearest folder with a .capsule in it.
 * CAPSULE_E_NOT_FOUND: nothing was recorded there. Give back with capsule_journal_close. */
CAPSULE_API int capsule_journal_open(const char *place, capsule_journal **ret_journal, capsule_error *error);
CAPSULE_API void capsule_journal_close(capsule_journal *journal);
CAPSULE_API const char *capsule_journal_dir(const capsule_journal *journal);

typedef struct capsule_run_filter {
    const char *state; /* as capsule_state_name says it; NULL: all */
    const char *entry; /* the program as it was given to run; NULL: all */
    uint64_t limit;    /* the newest so many; 0: all */
    int due;           /* only suspended runs whose time or signal has come */
} capsule_run_filter;

/* A run is named by its id, or by a beginning of it (4 characters or more) that no other has. */

/* The runs, newest first, as a JSON array of {"run_id", "entry", "task", "state", "begun", "ended", …}: docs/reference/journal.md. Give
 * texts back with capsule_free. A running run whose process is dead is shown as "interrupted". filter may be NULL. */
CAPSULE_API int capsule_journal_list(capsule_journal *journal, const capsule_run_filter *filter, char **ret_json,
                                     capsule_error *error);
/* One run with its tasks: as above, and "tasks": [{"id", "parent", "name", "state", "attempts", "duration_ms", "fuel", "ram", "requests", …}], "waits". */
CAPSULE_API int capsule_journal_show(capsule_journal *journal, const char *run_id, char **ret_json,
                                     capsule_error *error);
/* What its tasks wrote, in order, from *cursor on (start with 0), which is moved on. *ret_over: the run has ended, nothing more will come. */
CAPSULE_API int capsule_journal_output(capsule_journal *journal, const char *run_id, uint64_t *cursor,
                                       void (*on_output)(void *user, const capsule_event *event), void *user,
                                       int *ret_over, capsule_error *error);
/* Leaves a signal, a JSON value, for capsule.wait_signal(name). */
CAPSULE_API int capsule_journal_signal(capsule_journal *journal, const char *run_id, const char *name,
                                       const char *json, capsule_error *error);
/* Asks the process that executes it to end a run; *ret_alive is 0 if there's none (resume it with capsule_run_cancel called first, to end it). */
CAPSULE_API int capsule_journal_cancel(capsule_journal *journal, const char *run_id, int *ret_alive,
                                       capsule_error *error);
/* A new run that shares what is on record of `run_id` before its task number `task` was called; *ret_run_id is for capsule_run_resume. */
CAPSULE_API int capsule_journal_fork(capsule_journal *journal, const char *run_id, uint32_t task,
                                     char **ret_run_id, capsule_error *error);
/* Removes runs that ended more than `age` ns ago, and what nothing needs any more. A JSON object of numbers: docs/reference/journal.md. */
CAPSULE_API int capsule_journal_collect(capsule_journal *journal, uint64_t age, int dry_run, char **ret_json,
                                        capsule_error *error);
/* Whether all that was written is as it was written: *ret_problems has a line for each that isn't, "" if all is well. */
CAPSULE_API int capsule_journal_verify(capsule_journal *journal, char **ret_problems, capsule_error *error);

#ifdef __cplusplus
}
#endif
#endif
