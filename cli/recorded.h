/* Recorded runs, as commands need them that name one: the journal, the run that a word means, how to go on with it.
 *
 * Functions that can fail have told the user when they return something else than COMMAND_GO_ON, which is the exit code then. */
#ifndef CLI_RECORDED_H
#define CLI_RECORDED_H

#include "base/json.h"
#include "output.h"
#include <capsule.h>
#include <stdbool.h>
#include <stdint.h>

enum { RECORDED_ID_MAX = 128, RECORDED_PREFIX_MIN = 4 };

/* Options that all these commands have. */
#define RECORDED_PROJECT_OPTION                                                                                   \
    {"project", "DIR", "look for the runs of the project in this folder, not of the working\ndirectory's", 0}

/* project: a folder, NULL: the working directory. For `CLEANUP(recorded_close) capsule_journal *journal = NULL`. */
int recorded_open(const char *project, capsule_journal **ret);
void recorded_close(capsule_journal **journal);

/* As capsule_journal_list. */
int recorded_list(capsule_journal *journal, const capsule_run_filter *filter, struct json_document **ret);
/* On standard output: indented for a person, on one line for a program. Returns the exit code. */
int recorded_print_json(const json_value *value);

struct recorded_run {
    struct json_document *list;
    const char *id, *state; /* texts of the list */
    const json_value *row;  /* as capsule_journal_list gives it */
};
void recorded_done(struct recorded_run *run);

/* The run whose id is word, or the only one whose id begins so. */
int recorded_find(capsule_journal *journal, const char *word, struct recorded_run *ret);
/* The two in one. */
int recorded_open_find(const char *project, const char *word, capsule_journal **ret_journal,
                       struct recorded_run *ret);

bool recorded_has_ended(const struct recorded_run *run);
/* It runs, for a process that's alive. */
bool recorded_is_running(const char *state);
enum style recorded_style(const char *state);

/* Nothing more will be recorded of a run. */
bool recorded_is_over(const char *journal_dir, const char *run_id);

/* Whether the program's project has a run of this id; *ret_dir, the caller's, is the journal's folder then, else NULL. file: as given to run, NULL for the
 * entrypoint of the nearest capsule.toml. A run of another program is an error. */
int recorded_of_program(const char *file, const char *run_id, char **ret_dir);

/* Appends "RUN", with " --project DIR" where a command typed here wouldn't find that journal by itself. */
void recorded_put_name(struct buffer *to, const char *journal_dir, const char *run_id);
/* On standard error: what a suspended run waits for, and how to go on with it. */
void recorded_tell_suspended(const char *journal_dir, const char *run_id, const char *waits_for);

#endif
