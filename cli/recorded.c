/* See recorded.h. */
#include "recorded.h"
#include "base/path.h"
#include "base/show.h"
#include "base/suggest.h"
#include "command.h"
#include "moment.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMED_MAX = 4 /* runs in a message */, HINT_MAX = 8192 };

static int refuse(const capsule_error *error) {
    output_error(error->message, error->hint);
    return EXIT_USAGE;
}

/* ---- the journal ---- */

int recorded_open(const char *project, capsule_journal **ret) {
    capsule_error error = {0};
    if (capsule_journal_open(project, ret, &error) == CAPSULE_OK)
        return COMMAND_GO_ON;
    if (error.code == CAPSULE_E_NOT_FOUND && project == NULL)
        snprintf(error.hint, sizeof error.hint,
                 "`capsule run` records runs in the project of the program; --project DIR looks there");
    return refuse(&error);
}

void recorded_close(capsule_journal **journal) {
    if (*journal != NULL)
        capsule_journal_close(*journal);
}

void recorded_done(struct recorded_run *run) {
    json_free(run->list);
    *run = (struct recorded_run){0};
}

int recorded_print_json(const json_value *value) {
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_TEXT_MAX);
    const bool pretty = output_is_terminal(STDOUT_FILENO);
    if ((pretty ? json_write_pretty(value, &b) : json_write(value, &b)) != 0 || buffer_putc(&b, '\n') != 0) {
        output_error("out of memory", NULL);
        return EXIT_USAGE;
    }
    output_write(STDOUT_FILENO, buffer_text(&b), b.size);
    return EXIT_OK;
}

/* ---- which run is meant ---- */

static const char *id_of(const json_value *row) {
    return json_text(json_get(row, "run_id"), "");
}

static int refuse_ambiguous(const char *word, const json_value *list) {
    CLEANUP(buffer_done) struct buffer message = BUFFER_INIT(HINT_MAX);
    const size_t n = strlen(word);
    size_t cursor = 0, found = 0;
    buffer_printf(&message, "several runs begin with '%s':", show(word).text);
    for (const json_value *row; (row = json_each(list, &cursor)) != NULL;) {
        if (strncmp(id_of(row), word, n) == 0 && ++found <= NAMED_MAX)
            buffer_printf(&message, "%s %s", found > 1 ? "," : "", id_of(row));
    }
    if (found > NAMED_MAX)
        buffer_printf(&message, " and %zu more", found - NAMED_MAX);
    output_error(buffer_text(&message), "give more of its id; `capsule ps` lists them");
    return EXIT_USAGE;
}

static int refuse_unknown(const char *word, const json_value *list) {
    char message[256], hint[256] = "`capsule ps` lists the runs";
    const size_t n = json_size(list);
    const char **ids = calloc(n + 1, sizeof *ids);
    size_t cursor = 0, ids_n = 0;
    for (const json_value *row; ids != NULL && (row = json_each(list, &cursor)) != NULL;)
        ids[ids_n++] = id_of(row);
    const char *nearest = suggest_nearest(word, ids, ids_n);
    if (strlen(word) < RECORDED_PREFIX_MIN)
        snprintf(message, sizeof message,
                 "no run has the id '%s', and %d characters or more stand for a longer one", show(word).text,
                 RECORDED_PREFIX_MIN);
    else
        snprintf(message, sizeof message, "no such run: %s", show(word).text);
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean %s? `capsule ps` lists the runs", nearest);
    free(ids);
    output_error(message, hint);
    return EXIT_USAGE;
}

/* The row; NULL if there's none, or (*ret_several) if there are several. */
static const json_value *pick(const json_value *list, const char *word, bool *ret_several) {
    const json_value *found = NULL;
    const size_t n = strlen(word);
    size_t cursor = 0;
    *ret_several = false;
    for (const json_value *row; (row = json_each(list, &cursor)) != NULL;) {
        if (strcmp(id_of(row), word) == 0) {
            *ret_several = false;
            return row;
        }
        if (n < RECORDED_PREFIX_MIN || strncmp(id_of(row), word, n) != 0)
            continue;
        *ret_several |= found != NULL;
        found = row;
    }
    return *ret_several ? NULL : found;
}

int recorded_list(capsule_journal *journal, const capsule_run_filter *filter, struct json_document **ret) {
    capsule_error error = {0};
    struct error err;
    char *text = NULL;
    if (capsule_journal_list(journal, filter, &text, &error) != CAPSULE_OK)
        return refuse(&error);
    const int rc = json_parse(text, strlen(text), ret, &err);
    capsule_free(text);
    return rc == 0 ? COMMAND_GO_ON : command_refuse(&err);
}

int recorded_find(capsule_journal *journal, const char *word, struct recorded_run *ret) {
    CLEANUP(json_cleanup) struct json_document *list = NULL;
    const int rc = recorded_list(journal, NULL, &list);
    if (rc != COMMAND_GO_ON)
        return rc;
    bool several;
    const json_value *row = pick(json_root(list), word, &several);
    if (row == NULL)
        return (several ? refuse_ambiguous : refuse_unknown)(word, json_root(list));
    *ret = (struct recorded_run){
        .list = list, .id = id_of(row), .state = json_text(json_get(row, "state"), "unknown"), .row = row};
    list = NULL;
    return COMMAND_GO_ON;
}

int recorded_open_find(const char *project, const char *word, capsule_journal **ret_journal,
                       struct recorded_run *ret) {
    const int rc = recorded_open(project, ret_journal);
    return rc == COMMAND_GO_ON ? recorded_find(*ret_journal, word, ret) : rc;
}

/* ---- states ---- */

static const struct {
    const char *name;
    enum style style;
    bool ended;
} states[] = {
    {"running", STYLE_BOLD, false},       {"suspended", STYLE_CYAN, false}, {"completed", STYLE_GREEN, true},
    {"failed", STYLE_RED, true},          {"timed_out", STYLE_RED, true},   {"cancelled", STYLE_YELLOW, true},
    {"interrupted", STYLE_YELLOW, false},
};

static size_t state_index(const char *state) {
    size_t i = 0;
    while (i < sizeof states / sizeof states[0] && strcmp(states[i].name, state) != 0)
        i++;
    return i;
}

enum style recorded_style(const char *state) {
    const size_t i = state_index(state);
    return i < sizeof states / sizeof states[0] ? states[i].style : STYLE_DIM;
}

bool recorded_is_running(const char *state) {
    return strcmp(state, "running") == 0;
}

bool recorded_has_ended(const struct recorded_run *run) {
    /* "interrupted" is a state of both kinds: its process died, or that was its outcome. */
    return json_type(json_get(run->row, "ended")) == JSON_STRING;
}

static void ignore_output(void *user, const capsule_event *event) {
    (void)user;
    (void)event;
}

bool recorded_is_over(const char *journal_dir, const char *run_id) {
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    uint64_t nothing = UINT32_MAX; /* no run has that many frames */
    int over = 1;
    if (capsule_journal_open(journal_dir, &journal, NULL) == CAPSULE_OK)
        capsule_journal_output(journal, run_id, &nothing, ignore_output, NULL, &over, NULL);
    return over != 0;
}

/* ---- the run of a program ---- */

/* The project's root, by the rule of docs/reference/manifest.md: the folder of the nearest capsule.toml above the program, else the program's own. NULL if
 * that can't be told; whoever opens the program says why. */
static char *root_of(const char *file) {
    char manifest[PATH_LENGTH_MAX];
    char *start = realpath(file != NULL ? file : ".", NULL);
    if (start == NULL)
        return NULL;
    if (file != NULL)
        start[path_dir_length(start)] = '\0';
    CLEANUP(cleanup_free) char *folder = strdup(start);
    for (size_t n = folder != NULL ? strlen(folder) : 0; n > 0; n = n > 1 ? path_dir_length(folder) : 0) {
        folder[n] = '\0';
        if (path_normalize(folder, "capsule.toml", manifest, sizeof manifest) < 0 || access(manifest, F_OK) != 0)
            continue;
        free(start);
        return strdup(folder);
    }
    return start;
}

/* The journal in the root itself, not in a folder above it. */
static capsule_journal *open_journal_of(const char *root) {
    char wanted[PATH_LENGTH_MAX];
    capsule_journal *journal = NULL;
    if (path_normalize(root, ".capsule", wanted, sizeof wanted) < 0 ||
        capsule_journal_open(root, &journal, NULL) != CAPSULE_OK)
        return NULL;
    if (strcmp(capsule_journal_dir(journal), wanted) == 0)
        return journal;
    capsule_journal_close(journal);
    return NULL;
}

static int check_entry(const char *file, const struct json_document *list, const char *run_id, bool *ret_found) {
    size_t cursor = 0;
    const json_value *row;
    while ((row = json_each(json_root(list), &cursor)) != NULL && strcmp(id_of(row), run_id) != 0)
        ;
    *ret_found = row != NULL;
    const char *entry = json_text(json_get(row, "entry"), NULL);
    if (row == NULL || file == NULL || entry == NULL || strcmp(path_base(entry), path_base(file)) == 0)
        return COMMAND_GO_ON;
    char message[512], hint[512];
    snprintf(message, sizeof message, "the run %s belongs to another program: %s", run_id, show(entry).text);
    snprintf(hint, sizeof hint, "give this one another id; `capsule resume %s` goes on with that one", run_id);
    output_error(message, hint);
    return EXIT_USAGE;
}

int recorded_of_program(const char *file, const char *run_id, char **ret_dir) {
    *ret_dir = NULL;
    CLEANUP(cleanup_free) char *root = root_of(file);
    CLEANUP(recorded_close) capsule_journal *journal = root != NULL ? open_journal_of(root) : NULL;
    if (journal == NULL)
        return COMMAND_GO_ON;
    bool found = false;
    CLEANUP(json_cleanup) struct json_document *list = NULL;
    int rc = recorded_list(journal, NULL, &list);
    if (rc == COMMAND_GO_ON)
        rc = check_entry(file, list, run_id, &found);
    if (rc != COMMAND_GO_ON || !found)
        return rc;
    *ret_dir = strdup(capsule_journal_dir(journal));
    if (*ret_dir != NULL)
        return COMMAND_GO_ON;
    output_error("out of memory", NULL);
    return EXIT_USAGE;
}

/* ---- how to go on ---- */

/* As a shell takes it for one word. */
static void put_word(struct buffer *to, const char *word) {
    if (word[0] != '\0' &&
        strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/") == strlen(word)) {
        buffer_puts(to, word);
        return;
    }
    buffer_putc(to, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            buffer_puts(to, "'\\''");
        else
            buffer_putc(to, *word);
    }
    buffer_putc(to, '\'');
}

/* Whether commands typed here find that journal: by the rule of capsule_journal_open, without opening any, since every run asks. */
static bool is_found_from_here(const char *journal_dir) {
    char folder[PATH_LENGTH_MAX], database[PATH_LENGTH_MAX];
    CLEANUP(cleanup_free) char *place = realpath(".", NULL);
    for (size_t n = place != NULL ? strlen(place) : 0; n > 0; n = n > 1 ? path_dir_length(place) : 0) {
        place[n] = '\0';
        if (path_normalize(place, ".capsule", folder, sizeof folder) < 0 ||
            path_normalize(folder, "journal.db", database, sizeof database) < 0)
            continue;
        if (strcmp(folder, journal_dir) == 0)
            return true;
        if (access(database, F_OK) == 0)
            return false;
    }
    return false;
}

void recorded_put_name(struct buffer *to, const char *journal_dir, const char *run_id) {
    buffer_puts(to, run_id);
    CLEANUP(cleanup_free)
    char *root = is_found_from_here(journal_dir) ? NULL : strndup(journal_dir, path_dir_length(journal_dir));
    if (root == NULL)
        return;
    buffer_puts(to, " --project ");
    put_word(to, root);
}

/* The first signal that the run waits for; NULL if it waits for times only. */
static const json_value *awaited_signal(const json_value *run) {
    size_t cursor = 0;
    const json_value *wait;
    while ((wait = json_each(json_get(run, "waits"), &cursor)) != NULL)
        if (strcmp(json_text(json_get(wait, "kind"), ""), "signal") == 0)
            break;
    return wait;
}

/* "the signal "approval", until 2026-11-27 10:00:00 (and 2 more)" */
static void put_wait(struct buffer *to, const json_value *run, const json_value *signal) {
    char text[MOMENT_MAX];
    const size_t more = json_size(json_get(run, "waits")) - 1;
    const json_value *until = signal != NULL ? json_get(signal, "until") : json_get(run, "wake");
    const uint64_t time = moment_parse(json_text(until, NULL));
    if (signal != NULL) {
        buffer_puts(to, "for the signal \"");
        output_escape(to, json_text(json_get(signal, "name"), "?"), true);
        buffer_puts(to, time != 0 ? "\", " : "\"");
    }
    if (time != 0)
        buffer_printf(to, "until %s", moment_format_short(text, sizeof text, time, moment_now()));
    if (more > 0)
        buffer_printf(to, " (and %zu more)", more);
}

static void read_run(const char *journal_dir, const char *run_id, struct json_document **ret) {
    CLEANUP(recorded_close) capsule_journal *journal = NULL;
    char *text = NULL;
    if (capsule_journal_open(journal_dir, &journal, NULL) != CAPSULE_OK ||
        capsule_journal_show(journal, run_id, &text, NULL) != CAPSULE_OK)
        return;
    json_parse(text, strlen(text), ret, NULL);
    capsule_free(text);
}

static void put_hint(struct buffer *to, const char *name, const json_value *signal) {
    buffer_printf(to, "%shint:%s ", style(STDERR_FILENO, STYLE_YELLOW), style(STDERR_FILENO, STYLE_PLAIN));
    if (signal == NULL) {
        buffer_printf(to, "capsule resume %s   (capsule worker --timers does it when the time has come)\n", name);
        return;
    }
    CLEANUP(buffer_done) struct buffer word = BUFFER_INIT(HINT_MAX);
    put_word(&word, json_text(json_get(signal, "name"), "NAME"));
    buffer_printf(to, "capsule signal %s ", name);
    output_escape(to, buffer_text(&word), true);
    buffer_printf(to, " JSON   (or: capsule resume %s --wait)\n", name);
}

void recorded_tell_suspended(const char *journal_dir, const char *run_id, const char *waits_for) {
    const int fd = STDERR_FILENO;
    CLEANUP(json_cleanup) struct json_document *run = NULL;
    CLEANUP(buffer_done) struct buffer b = BUFFER_INIT(OUTPUT_LINE_MAX), name = BUFFER_INIT(HINT_MAX);
    read_run(journal_dir, run_id, &run);
    recorded_put_name(&name, journal_dir, run_id);
    const json_value *signal = awaited_signal(json_root(run));
    buffer_printf(&b, "%ssuspended:%s waits ", style(fd, STYLE_CYAN), style(fd, STYLE_PLAIN));
    if (json_size(json_get(json_root(run), "waits")) > 0) {
        put_wait(&b, json_root(run), signal);
    } else { /* the record can't be read; the run knows it too */
        buffer_puts(&b, "for ");
        output_escape(&b, waits_for != NULL ? waits_for : "a signal or a time", true);
    }
    buffer_putc(&b, '\n');
    put_hint(&b, buffer_text(&name), signal);
    output_write(fd, buffer_text(&b), b.size);
}
