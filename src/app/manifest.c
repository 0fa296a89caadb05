/* Owns capsule.toml: its tables and keys, and how a mistake in it is reported ("capsule.toml:7: …").
 *
 * The TOML reader gives JSON with a line number at each key (deps/rust/include/capsule_toml.h); this is its only user.
 * Thread rule: a struct manifest belongs to one thread at a time. */
#define _GNU_SOURCE 1
#include "app/manifest.h"

#include "app/grants.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/path.h"
#include "base/show.h"
#include "base/suggest.h"
#include "base/units.h"

#include <capsule_toml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_MAX = 1024 * 1024 };

/* Where a value was written. */
struct place {
    const char *file, *table, *key;
    uint64_t line;
    const json_value *members; /* NULL unless the value is a table, which has no handle of its own */
};

typedef int read_key(struct manifest *m, const struct place *at, const json_value *value, struct error *err);

struct table {
    const char *name;
    read_key *read;
};

static int misplaced(const struct place *at, const char *kind, const char *name, const char *const *known,
                     size_t n, struct error *err) {
    if (at->table)
        error_set(err, ERROR_PROJECT, "%s:%llu: unknown %s \"%s\" in [%s]", at->file, (unsigned long long)at->line,
                  kind, show(name).text, at->table);
    else
        error_set(err, ERROR_PROJECT, "%s:%llu: unknown %s \"%s\"", at->file, (unsigned long long)at->line, kind,
                  show(name).text);
    const char *near = suggest_nearest(name, known, n);
    if (near)
        error_hint(err, "did you mean \"%s\"?", near);
    return ERROR_PROJECT;
}

static int wrong(const struct place *at, const char *what, struct error *err) {
    return error_set(err, ERROR_PROJECT, "%s:%llu: [%s] %s: %s", at->file, (unsigned long long)at->line, at->table,
                     show(at->key).text, what);
}

static int read_workflow(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    static const char *const KEYS[] = {"name", "version", "entrypoint"};
    char **fields[] = {&m->name, &m->version, &m->entrypoint};
    size_t i = 0;
    while (i < 3 && strcmp(at->key, KEYS[i]) != 0)
        i++;
    if (i == 3)
        return misplaced(at, "key", at->key, KEYS, 3, err);
    const char *text = json_text(value, NULL);
    if (!text || !text[0])
        return wrong(at, "expected a string that isn't empty", err);
    CLEANUP(cleanup_free) char *copy = NULL;
    if (fields[i] == &m->entrypoint) {
        int status = grant_path_clean(text, &copy, err);
        if (status)
            return error_set(err, status == ERROR_NOMEM ? status : ERROR_PROJECT,
                             "%s:%llu: [workflow] entrypoint: %s", at->file, (unsigned long long)at->line,
                             err ? err->message : "");
        if (grant_path_is_outside(copy))
            return wrong(at, "expected a file below the folder of capsule.toml", err);
    } else {
        copy = FAULT("manifest.text") ? NULL : strdup(text);
    }
    if (!copy)
        return error_set(err, ERROR_NOMEM, "out of memory while reading capsule.toml");
    *fields[i] = copy;
    copy = NULL;
    return 0;
}

/* What a reader of values said, in the manifest's words; its hint stays. */
static int explain(const struct place *at, const char *key, int status, struct error *err) {
    if (status == 0 || status == ERROR_NOMEM)
        return status;
    if (!err)
        return ERROR_PROJECT;
    char hint[ERROR_HINT_MAX];
    memcpy(hint, err->hint, sizeof hint);
    if (status == ERROR_NOT_FOUND)
        misplaced(at, "key", at->key, NULL, 0, err);
    else
        error_set(err, ERROR_PROJECT, "%s:%llu: [%s] %s%s%s", at->file, (unsigned long long)at->line, at->table,
                  key ? show(key).text : "", key ? ": " : "", err->message);
    error_hint(err, "%s", hint);
    return ERROR_PROJECT;
}

/* Its messages begin with the key. */
static int read_option(struct task_options *o, enum option_place place, const struct place *at,
                       const json_value *value, struct error *err) {
    return explain(at, NULL, task_options_set(o, place, at->key, value, err), err);
}

static int read_defaults(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    return read_option(&m->defaults, OPTIONS_DEFAULTS, at, value, err);
}

static int read_limits(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    return read_option(&m->limits, OPTIONS_LIMITS, at, value, err);
}

/* outside: whether the folder may lie elsewhere than below the manifest's. */
static int add_path(struct string_list *to, bool outside, const struct place *at, const json_value *item,
                    struct error *err) {
    const char *text = json_text(item, NULL);
    CLEANUP(cleanup_free) char *path = NULL;
    if (!text || grant_path_clean(text, &path, NULL))
        return wrong(at, "expected a list of folders", err);
    if (!outside && grant_path_is_outside(path))
        return wrong(at, "a folder must lie below the folder of capsule.toml", err);
    return string_list_add(to, path) ? error_set(err, ERROR_NOMEM, "out of memory while reading capsule.toml") : 0;
}

/* `paths` and `packages`, of the tables that are named after a language. */
static int read_imports(struct string_list *paths, bool outside, const char *packages_hint, const struct place *at,
                        const json_value *value, struct error *err) {
    static const char *const KEYS[] = {"paths", "packages"};
    if (strcmp(at->key, "packages") == 0) {
        int status = wrong(at, "packages aren't installed from here", err);
        error_hint(err, "%s", packages_hint);
        return status;
    }
    if (strcmp(at->key, "paths") != 0)
        return misplaced(at, "key", at->key, KEYS, 2, err);
    if (json_type(value) != JSON_ARRAY || json_size(value) > POLICY_LIST_MAX)
        return wrong(at, "expected a list of folders", err);
    const json_value *item;
    for (size_t cursor = 0; (item = json_each(value, &cursor));) {
        int status = add_path(paths, outside, at, item, err);
        if (status)
            return status;
    }
    return 0;
}

static int read_python(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    return read_imports(&m->python_paths, false,
                        "install them with pip into .venv next to capsule.toml: python3 -m venv .venv && "
                        ".venv/bin/pip install …",
                        at, value, err);
}

static int read_js(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    return read_imports(&m->js_paths, true, "install them with npm next to capsule.toml: npm install …", at, value,
                        err);
}

static int read_http(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    static const char *const KEYS[] = {"max_response_size", "max_header_size", "max_total_bytes",
                                       "max_concurrent_requests"};
    uint64_t *const sizes[] = {&m->http.max_response_size, &m->http.max_header_size, &m->http.max_total_bytes};
    uint64_t number;
    size_t i = 0;
    while (i < 4 && strcmp(at->key, KEYS[i]) != 0)
        i++;
    if (i == 4)
        return misplaced(at, "key", at->key, KEYS, 4, err);
    if (i == 3) {
        if (!json_u64(value, &number) || number == 0 || number > MANIFEST_REQUESTS_MAX)
            return wrong(at, "expected a whole number from 1 to 1024", err);
        m->http.max_concurrent_requests = (uint32_t)number;
        return 0;
    }
    int status = read_size(value, &number, err);
    if (status)
        return explain(at, at->key, status, err);
    if (sizes[i] == &m->http.max_header_size && number > MANIFEST_HEADER_SIZE_MAX)
        return wrong(at, "it's more than the maximum, 300kB", err);
    *sizes[i] = number;
    return 0;
}

static void read_line(const json_value *member, struct place *at) {
    if (!json_u64(json_get(member, "line"), &at->line))
        at->line = 0;
}

/* The one key of [secrets] NAME. */
static int read_secret_hosts(const struct place *secret, struct string_list *ret, struct error *err) {
    static const char *const KEYS[] = {"hosts"};
    char table[512];
    struct place at = {.file = secret->file, .table = table};
    const json_value *member;
    snprintf(table, sizeof table, "secrets.%s", secret->key);
    for (size_t cursor = 0; (member = json_next(secret->members, &cursor, &at.key));) {
        read_line(member, &at);
        if (strcmp(at.key, KEYS[0]) != 0)
            return misplaced(&at, "key", at.key, KEYS, 1, err);
        int status = read_hosts(json_get(member, "value"), ret, err);
        if (status)
            return explain(&at, at.key, status, err);
    }
    if (ret->n > 0)
        return 0;
    int status = wrong(secret, "it names no host", err);
    error_hint(err, "write %s = { hosts = [\"api.example.com\"] }: the hosts that may be sent it", secret->key);
    return status;
}

static int read_secrets(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    (void)value;
    CLEANUP(string_list_done) struct string_list hosts = {0};
    int status = explain(at, NULL, grant_variable_check(at->key, err), err);
    if (status)
        return status;
    if (m->n_secrets == MANIFEST_SECRETS_MAX)
        return wrong(at, "there are more than 64 secrets", err);
    if (!at->members) {
        status = wrong(at, "expected a table", err);
        error_hint(err,
                   "write %s = { hosts = [\"api.example.com\"] }; the value comes from the environment or .env",
                   at->key);
        return status;
    }
    status = read_secret_hosts(at, &hosts, err);
    if (status)
        return status;
    struct secret_grant *secrets =
        FAULT("manifest.secrets") ? NULL : reallocarray(m->secrets, m->n_secrets + 1, sizeof *secrets);
    if (secrets)
        m->secrets = secrets;
    char *name = secrets && !FAULT("manifest.secret") ? strdup(at->key) : NULL;
    if (!name)
        return error_set(err, ERROR_NOMEM, "out of memory while reading capsule.toml");
    m->secrets[m->n_secrets++] = (struct secret_grant){.name = name, .hosts = hosts};
    hosts = (struct string_list){0};
    return 0;
}

static int read_journal(struct manifest *m, const struct place *at, const json_value *value, struct error *err) {
    static const char *const KEYS[] = {"keep"};
    const char *text = json_text(value, NULL);
    if (strcmp(at->key, KEYS[0]) != 0)
        return misplaced(at, "key", at->key, KEYS, 1, err);
    if (text && strcmp(text, "forever") == 0) {
        m->journal_keep = UINT64_MAX;
        return 0;
    }
    if (!text)
        return wrong(at, "expected a duration, such as \"30d\", or \"forever\"", err);
    int status = units_duration(text, &m->journal_keep, err);
    if (status)
        return explain(at, at->key, status, err);
    return m->journal_keep ? 0 : wrong(at, "it must be more than 0", err);
}

static const struct table TABLES[] = {
    {"workflow", read_workflow}, {"tasks", read_defaults},  {"limits", read_limits}, {"http", read_http},
    {"secrets", read_secrets},   {"journal", read_journal}, {"python", read_python}, {"js", read_js}};
static const char *const TABLE_NAMES[] = {"workflow", "tasks",   "limits", "http",
                                          "secrets",  "journal", "python", "js"};
enum { N_TABLES = sizeof TABLES / sizeof TABLES[0] };
_Static_assert(sizeof TABLE_NAMES / sizeof TABLE_NAMES[0] == N_TABLES, "one name per table");

static int read_table(struct manifest *m, const struct table *table, struct place *at, const json_value *members,
                      struct error *err) {
    const json_value *member;
    at->table = table->name;
    for (size_t cursor = 0; (member = json_next(members, &cursor, &at->key));) {
        read_line(member, at);
        at->members = json_get(member, "table");
        /* A table where a value belongs has no "value": the handle is then "not there", which no reader accepts. */
        int status = table->read(m, at, json_get(member, "value"), err);
        if (status)
            return status;
    }
    return 0;
}

static int read_root(struct manifest *m, struct place *at, const json_value *root, struct error *err) {
    const json_value *member;
    const char *key;
    for (size_t cursor = 0; (member = json_next(root, &cursor, &key));) {
        size_t i = 0;
        while (i < N_TABLES && strcmp(key, TABLES[i].name) != 0)
            i++;
        const json_value *members = json_get(member, "table");
        read_line(member, at);
        at->table = NULL;
        if (i == N_TABLES) {
            int status = misplaced(at, members ? "table" : "key", key, TABLE_NAMES, N_TABLES, err);
            if (!members)
                error_hint(err, "keys belong into a table: [workflow], [tasks], [limits], [http], [secrets], "
                                "[journal], [python] or [js]");
            return status;
        }
        if (!members)
            return error_set(err, ERROR_PROJECT, "%s:%llu: \"%s\" is a table: write [%s]", at->file,
                             (unsigned long long)at->line, key, key);
        int status = read_table(m, &TABLES[i], at, members, err);
        if (status)
            return status;
    }
    return 0;
}

static int read_text(const char *path, struct buffer *ret, struct error *err) {
    CLEANUP(cleanup_close) int fd = FAULT("manifest.open") ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return error_errno(err, ERROR_PROJECT, errno, "can't read %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_PROJECT, "%s isn't a file", path);
    int status = file_read(fd, ret);
    if (status == ERROR_IO)
        return error_errno(err, ERROR_PROJECT, errno, "can't read %s", path);
    if (status == ERROR_LIMIT)
        return error_set(err, ERROR_PROJECT, "%s is longer than 1 MiB", path);
    return status ? error_set(err, ERROR_NOMEM, "out of memory while reading %s", path) : 0;
}

static int parse(const char *text, size_t n, const char *file, struct json_document **ret, struct error *err) {
    char *json = NULL, message[512] = "";
    size_t json_n = 0;
    uint32_t line = 0;
    if (capsule_toml_to_json(text, n, &json, &json_n, message, sizeof message, &line))
        return error_set(err, ERROR_PROJECT, "%s:%u: %s", file, line, message);
    int status = json_parse(json, json_n, ret, err);
    capsule_toml_free(json, json_n);
    if (status == ERROR_INVALID)
        return error_set(err, ERROR_PROJECT, "%s: it's nested too deeply", file);
    return status;
}

int manifest_read(const char *path, struct manifest *ret, struct error *err) {
    CLEANUP(manifest_done) struct manifest m = {0};
    CLEANUP(buffer_done) struct buffer text = BUFFER_INIT(MANIFEST_MAX);
    CLEANUP(json_cleanup) struct json_document *d = NULL;
    struct place at = {.file = path_base(path)};
    int status = read_text(path, &text, err);
    if (status == 0)
        status = parse(buffer_text(&text), text.size, at.file, &d, err);
    if (status == 0)
        status = read_root(&m, &at, json_root(d), err);
    if (status)
        return status;
    m.path = FAULT("manifest.path") ? NULL : strdup(path);
    if (!m.path)
        return error_set(err, ERROR_NOMEM, "out of memory while reading %s", path);
    *ret = m;
    m = (struct manifest){0};
    return 0;
}

void manifest_done(struct manifest *m) {
    free(m->path);
    free(m->name);
    free(m->version);
    free(m->entrypoint);
    task_options_done(&m->defaults);
    task_options_done(&m->limits);
    for (size_t i = 0; i < m->n_secrets; i++) {
        free(m->secrets[i].name);
        string_list_done(&m->secrets[i].hosts);
    }
    free(m->secrets);
    string_list_done(&m->python_paths);
    string_list_done(&m->js_paths);
    *m = (struct manifest){0};
}
