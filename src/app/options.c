/* Owns the table of task options: their names at the three places and how each value is read.
 *
 * A decorator's options are written by hostile code: every list and text has a limit, and nothing of a refused value stays in
 * the struct. Thread rule: a struct task_options belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "app/grants.h"
#include "app/policy.h"
#include "base/show.h"
#include "base/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int set_option(struct task_options *o, enum option_place place, const json_value *value,
                       struct error *err);

static int expected(struct error *err, const char *what, const char *hint) {
    error_set(err, ERROR_INVALID, "%s", what);
    if (hint)
        error_hint(err, "%s", hint);
    return ERROR_INVALID;
}

/* The text of a number or string for the parsers of grammar.c, NULL for anything else. */
static const char *scalar_text(const json_value *value, struct buffer *number) {
    if (json_type(value) == JSON_STRING)
        return json_text(value, NULL);
    if (json_type(value) != JSON_NUMBER || json_write(value, number))
        return NULL;
    return buffer_text(number);
}

static int set_compute(struct task_options *o, enum option_place place, const json_value *value,
                       struct error *err) {
    (void)place;
    CLEANUP(buffer_done) struct buffer number = BUFFER_INIT(512);
    const char *text = scalar_text(value, &number);
    if (!text)
        return expected(err, "expected a level or an amount of fuel",
                        "write \"LOW\", \"MEDIUM\", \"HIGH\" or a number such as 1000000");
    int status = parse_compute(text, &o->fuel, err);
    o->has_compute = status == 0;
    return status;
}

int read_size(const json_value *value, uint64_t *ret_bytes, struct error *err) {
    CLEANUP(buffer_done) struct buffer number = BUFFER_INIT(512);
    const char *text = scalar_text(value, &number);
    if (!text)
        return expected(err, "expected a size", "write it as \"64MB\", \"1.5GB\" or \"512MiB\"");
    return parse_size(text, ret_bytes, err);
}

static int set_ram(struct task_options *o, enum option_place place, const json_value *value, struct error *err) {
    uint64_t bytes;
    int status = read_size(value, &bytes, err);
    if (status)
        return status;
    if (bytes > POLICY_RAM_MAX) {
        /* As a limit it's merely no limit. */
        if (place != OPTIONS_LIMITS)
            return error_set(err, ERROR_INVALID, "it's more than a sandbox can have, 4GiB");
        bytes = POLICY_RAM_MAX;
    }
    o->ram = bytes;
    o->has_ram = true;
    return 0;
}

static int set_timeout(struct task_options *o, enum option_place place, const json_value *value,
                       struct error *err) {
    (void)place;
    const char *text = json_text(value, NULL);
    if (!text)
        return expected(err, "expected a duration with a unit, as a string",
                        "write it as \"500ms\", \"30s\", \"5m\" or \"1h\"");
    int status = parse_duration(text, &o->timeout_ns, err);
    o->has_timeout = status == 0;
    return status;
}

static int set_retries(struct task_options *o, enum option_place place, const json_value *value,
                       struct error *err) {
    (void)place;
    int64_t n;
    if (!json_i64(value, &n) || n < 0 || n > POLICY_RETRIES_MAX)
        return error_set(err, ERROR_INVALID, "expected a whole number from 0 to %d", POLICY_RETRIES_MAX);
    o->retries = (uint32_t)n;
    o->has_retries = true;
    return 0;
}

static int set_idempotent(struct task_options *o, enum option_place place, const json_value *value,
                          struct error *err) {
    (void)place;
    if (json_type(value) != JSON_BOOL)
        return expected(err, "expected true or false", "without quotes");
    o->idempotent = json_bool(value, false);
    o->has_idempotent = true;
    return 0;
}

static int check_list(const json_value *value, const char *what, const char *hint, struct error *err) {
    if (json_type(value) != JSON_ARRAY)
        return expected(err, what, hint);
    if (json_size(value) > POLICY_LIST_MAX)
        return error_set(err, ERROR_INVALID, "the list has more than %d items", POLICY_LIST_MAX);
    return 0;
}

static int read_mode(const json_value *value, bool *ret_writable, struct error *err) {
    const char *mode = json_text(value, "");
    if (strcmp(mode, "rw") == 0 || strcmp(mode, "ro") == 0) {
        *ret_writable = mode[1] == 'w';
        return 0;
    }
    error_set(err, ERROR_INVALID, "\"mode\" is \"ro\" or \"rw\", not \"%s\"", show(mode).text);
    /* Spelled out, the two begin alike. */
    if (strstr(mode, "write") || strchr(mode, 'w'))
        error_hint(err, "did you mean \"rw\"?");
    else if (strncmp(mode, "r", 1) == 0)
        error_hint(err, "did you mean \"ro\"?");
    return ERROR_INVALID;
}

/* {"path": …, "mode": …} */
static int read_file_object(const json_value *value, const char **ret_path, bool *ret_writable,
                            struct error *err) {
    static const char *const KEYS[] = {"path", "mode"};
    const char *key;
    const json_value *member;
    for (size_t cursor = 0; (member = json_next(value, &cursor, &key));) {
        if (strcmp(key, KEYS[0]) == 0)
            continue;
        if (strcmp(key, KEYS[1]) != 0) {
            const char *near = suggest_nearest(key, KEYS, 2);
            error_set(err, ERROR_INVALID, "unknown key \"%s\" in a file", show(key).text);
            error_hint(err, near ? "did you mean \"%s\"?" : "a file has \"path\" and \"mode\"%s",
                       near ? near : "");
            return ERROR_INVALID;
        }
        int status = read_mode(member, ret_writable, err);
        if (status)
            return status;
    }
    *ret_path = json_text(json_get(value, "path"), NULL);
    return *ret_path ? 0
                     : expected(err, "a file has no \"path\"", "write {\"path\": \"./data\", \"mode\": \"ro\"}");
}

static int add_file(struct task_options *files, const json_value *item, struct error *err) {
    const char *text = json_text(item, NULL);
    bool writable = true;
    if (!text && json_type(item) != JSON_OBJECT)
        return expected(err, "a file is neither a path nor an object",
                        "write \"./data\" or {\"path\": \"./data\", \"mode\": \"ro\"}");
    int status = text ? 0 : read_file_object(item, &text, &writable, err);
    CLEANUP(cleanup_free) char *path = NULL;
    if (status == 0)
        status = grant_path_clean(text, &path, err);
    if (status)
        return status;
    for (size_t i = 0; i < files->n_files; i++) {
        if (strcmp(files->files[i].host, path) != 0)
            continue;
        if (files->files[i].writable != writable)
            return error_set(err, ERROR_INVALID, "\"%s\" is listed twice, read-only and writable",
                             show(path).text);
        return 0;
    }
    if (file_grants_add(&files->files, &files->n_files, path, writable))
        return error_set(err, ERROR_NOMEM, "out of memory while reading a list of files");
    return 0;
}

static int set_files(struct task_options *o, enum option_place place, const json_value *value, struct error *err) {
    (void)place;
    CLEANUP(task_options_done) struct task_options read = {0};
    int status = check_list(value, "expected a list of paths",
                            "write [\"./data\"], or {\"path\": …, \"mode\": \"ro\"} in it", err);
    const json_value *item;
    for (size_t cursor = 0; status == 0 && (item = json_each(value, &cursor));)
        status = add_file(&read, item, err);
    if (status)
        return status;
    o->files = read.files;
    o->n_files = read.n_files;
    o->has_files = true;
    read = (struct task_options){0};
    return 0;
}

static int add_unique(struct string_list *list, const char *text, struct error *err) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], text) == 0)
            return 0;
    return string_list_add(list, text) ? error_set(err, ERROR_NOMEM, "out of memory while reading a list") : 0;
}

int read_hosts(const json_value *value, struct string_list *ret, struct error *err) {
    CLEANUP(string_list_done) struct string_list hosts = {0};
    int status = check_list(value, "expected a list of hosts", "write [\"api.example.com\"]", err);
    const json_value *item;
    for (size_t cursor = 0; status == 0 && (item = json_each(value, &cursor));) {
        char host[HOST_TEXT_MAX];
        const char *text = json_text(item, NULL);
        status = text ? grant_host_clean(text, host, err) : expected(err, "a host isn't a string", NULL);
        if (status == 0)
            status = add_unique(&hosts, host, err);
    }
    if (status)
        return status;
    *ret = hosts;
    hosts = (struct string_list){0};
    return 0;
}

static int set_hosts(struct task_options *o, enum option_place place, const json_value *value, struct error *err) {
    (void)place;
    int status = read_hosts(value, &o->hosts, err);
    o->has_hosts = status == 0;
    return status;
}

static int set_env(struct task_options *o, enum option_place place, const json_value *value, struct error *err) {
    (void)place;
    CLEANUP(string_list_done) struct string_list names = {0};
    int status =
        check_list(value, "expected a list of names of environment variables", "write [\"API_KEY\"]", err);
    const json_value *item;
    for (size_t cursor = 0; status == 0 && (item = json_each(value, &cursor));) {
        const char *name = json_text(item, NULL);
        status = name ? grant_variable_check(name, err) : expected(err, "a name isn't a string", NULL);
        if (status == 0)
            status = add_unique(&names, name, err);
    }
    if (status)
        return status;
    o->env = names;
    o->has_env = true;
    names = (struct string_list){0};
    return 0;
}

/* One option under the names it has. NULL: not at that place. */
struct option {
    const char *keys[3][2]; /* by enum option_place; the first is the one that messages use */
    set_option *set;
    size_t has; /* offset of its has_ flag */
};

static const struct option OPTIONS[] = {
    {{{"compute"}, {"default_compute"}, {"max_compute"}}, set_compute, offsetof(struct task_options, has_compute)},
    {{{"ram"}, {"default_ram"}, {"max_ram"}}, set_ram, offsetof(struct task_options, has_ram)},
    {{{"timeout"}, {"default_timeout"}, {"max_timeout"}}, set_timeout, offsetof(struct task_options, has_timeout)},
    {{{"max_retries", "maxRetries"}, {"default_max_retries"}, {"max_retries", "max_max_retries"}},
     set_retries,
     offsetof(struct task_options, has_retries)},
    {{{"allowed_files", "allowedFiles"}, {"default_allowed_files"}, {"max_allowed_files"}},
     set_files,
     offsetof(struct task_options, has_files)},
    {{{"allowed_hosts", "allowedHosts"}, {"default_allowed_hosts"}, {"max_allowed_hosts"}},
     set_hosts,
     offsetof(struct task_options, has_hosts)},
    {{{"env_variables", "envVariables"}, {"default_env_variables"}, {"max_env_variables"}},
     set_env,
     offsetof(struct task_options, has_env)},
    {{{"idempotent"}, {"default_idempotent"}, {NULL}},
     set_idempotent,
     offsetof(struct task_options, has_idempotent)},
};

enum { N_OPTIONS = sizeof OPTIONS / sizeof OPTIONS[0] };

static const struct option *find_option(enum option_place place, const char *key) {
    for (size_t i = 0; i < N_OPTIONS; i++)
        for (size_t j = 0; j < 2; j++)
            if (OPTIONS[i].keys[place][j] && strcmp(OPTIONS[i].keys[place][j], key) == 0)
                return &OPTIONS[i];
    return NULL;
}

static int unknown_option(enum option_place place, const char *key, struct error *err) {
    const char *names[2 * N_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < N_OPTIONS; i++)
        for (size_t j = 0; j < 2; j++)
            if (OPTIONS[i].keys[place][j])
                names[n++] = OPTIONS[i].keys[place][j];
    const char *near = suggest_nearest(key, names, n);
    error_set(err, ERROR_NOT_FOUND, "unknown option \"%s\"", show(key).text);
    if (near)
        error_hint(err, "did you mean \"%s\"?", near);
    return ERROR_NOT_FOUND;
}

int task_options_set(struct task_options *o, enum option_place place, const char *key, const json_value *value,
                     struct error *err) {
    const struct option *option = find_option(place, key);
    if (!option)
        return unknown_option(place, key, err);
    if (place == OPTIONS_DECORATOR && json_type(value) == JSON_NULL)
        return 0;
    bool given;
    memcpy(&given, (const char *)o + option->has, sizeof given);
    if (given)
        return error_set(err, ERROR_INVALID, "%s is given twice", option->keys[place][0]);
    int status = option->set(o, place, value, err);
    if (status)
        error_prefix(err, "%s", key);
    return status;
}

void task_options_done(struct task_options *o) {
    file_grants_free(o->files, o->n_files);
    string_list_done(&o->hosts);
    string_list_done(&o->env);
    *o = (struct task_options){0};
}
