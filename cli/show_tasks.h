/* The tasks of a recorded run as a tree of lines, as `capsule show` prints them. */
#ifndef CLI_SHOW_TASKS_H
#define CLI_SHOW_TASKS_H

#include "base/json.h"
#include <stdint.h>

enum { SHOW_TEXT_MAX = 300 /* bytes of a message, a URL or a value in one line */ };

/* tasks: as capsule_journal_show gives them. all: long lists aren't cut. Returns 0 or ERROR_NOMEM. */
int show_tasks(const json_value *tasks, uint64_t now, bool all, struct buffer *to);
/* "task_error: ValueError: …" on one line, its end cut off where it's long. */
void show_error(const json_value *error, struct buffer *to);
/* Text on one line, safe for a terminal, its end cut off where it's long. */
void show_short(const char *text, struct buffer *to);
/* A number of an object; 0 if there's none. */
uint64_t show_number(const json_value *object, const char *key);
/* A duration in milliseconds, as ns. */
uint64_t show_duration(const json_value *object, const char *key);

#endif
