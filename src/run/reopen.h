/* Opening an application again as it was when a run of it began: its exact image, the tasks that its import declared, and the environment they were
 * given. Policies are resolved anew, by the capsule.toml of now: what an operator has tightened since holds for resumed runs too.
 *
 * The record of an application is a JSON object that every run refers to by digest:
 *   {"version": 1, "root", "entry", "guest": key, "image": {"object", "size", "inbox", "inbox_size", "tasks"}, "dependencies" (app/dependencies.h), "mounts": [{"host", "guest"?, "writable"}],
 *    "timeout_ns", "environment": {task: JSON text}}
 * If its image is neither in the cache nor kept, it's built again as long as all that it was made from is unchanged. Its image is looked for in the cache; a run that takes longer, or is suspended, keeps a copy in the journal's folder:
 *   images/OBJECT, and images/OBJECT.digest with the hexadecimal digest of its content.
 * Ended runs are removed after [journal] keep of capsule.toml, by default 30 days; "collected" in the journal's folder was touched when that was last looked at.
 * Thread rule: an application's; app_journal and app_keep_image from any thread. */
#ifndef RUN_REOPEN_H
#define RUN_REOPEN_H

#include "base/error.h"
#include "base/json.h"
#include "capsule.h"
#include "journal/journal.h"

/* As capsule_app_open; record: the application's, where its file is named, NULL to open it as it is. In app.c. */
int app_open(capsule_runtime *runtime, const char *file, const capsule_app_options *options,
             const json_value *record, capsule_app **ret_app, capsule_error *error);

/* For app.c. image: the index document of its image. */
int app_write_record(struct capsule_app *app, const capsule_app_options *options, const json_value *image,
                     struct error *err);
int app_take_image(struct capsule_app *app, const char *journal_dir, const json_value *record, struct error *err);
void app_close_record(struct capsule_app *app);

/* The journal where its runs are recorded; opened when first asked for. Borrowed. */
int app_journal(struct capsule_app *app, struct journal **ret, struct error *err);
/* Copies its image to the journal's folder, unless it's there. */
int app_keep_image(struct capsule_app *app, struct error *err);
/* A run has ended: removes the copy unless another one needs it. What can't be removed is left to journal_collect. */
void app_drop_image(struct capsule_app *app);

#endif
