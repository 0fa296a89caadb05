/* An application: a project's image and the tasks that its import declared, with their policies.
 *
 * Immutable once open; used by many threads. */
#ifndef RUN_APP_H
#define RUN_APP_H

#include "app/policy.h"
#include "app/project.h"
#include "capsule.h"
#include "run/guest.h"
#include "run/mounts.h"
#include "run/secrets.h"
#include "sandbox/image.h"

struct app_task {
    struct policy policy;
    char *where;                 /* "main.py:12" */
    char *env_json;              /* {"NAME": "value", …}, NULL if empty; of a secret, its token */
    struct http_secret *secrets; /* those that it's given; texts are the application's */
    size_t secrets_n;
    bool writes; /* it may write files */
};

struct capsule_app {
    struct capsule_runtime *runtime;
    struct project project;
    struct guest *guest; /* the runtime's */
    struct image *image;
    struct mount_table mounts; /* what every task sees */
    struct secrets secrets;
    struct http_limits http_limits;
    /* For runs that are recorded (run/reopen.h): how to open it again, and where. */
    bool recorded;
    char *journal_dir;
    struct journal *journal; /* NULL until app_journal; under the runtime's lock */
    struct buffer record;    /* JSON */
    char *image_object;      /* what its image is called */
    struct app_task *tasks;  /* sorted by name */
    size_t tasks_n;
    char *description;
};

const struct app_task *app_find(const struct capsule_app *app, const char *name);
/* The task named, or (NULL) main, or the only one. */
int app_entry(const struct capsule_app *app, const char *name, const struct app_task **ret, struct error *err);
/* Replaces guest paths in a traceback (`File "/project/…"`, `at f (/project/…)`) by the host's. malloc'd; NULL if text is NULL or there's no memory. */
char *app_host_traceback(const struct capsule_app *app, const char *text);

#endif
