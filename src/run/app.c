/* Opening an application: project, image, tasks, policies. */
#include "run/app.h"
#include "app/dependencies.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/path.h"
#include "run/image_builder.h"
#include "run/reopen.h"
#include "run/runtime.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTION_MAX = 16 * 1024 * 1024, TASKS_MAX = 10000, ENVIRONMENT_MAX = 512 * 1024 };

struct opening {
    struct capsule_app *app;
    const capsule_app_options *options;
    struct dotenv *dotenv;
    const json_value *record; /* it's opened as it was then (run/reopen.h); NULL: as it is */
};

/* ---- tracebacks ---- */

static bool begins_with_folder(const char *text, const char *folder, size_t *ret_n) {
    size_t n = strlen(folder);
    if (strncmp(text, folder, n) != 0 || text[n] != '/')
        return false;
    *ret_n = n;
    return true;
}

/* The host folder that a guest path begins with, and how much of the guest path that is. */
static const char *host_folder(const struct capsule_app *app, const char *text, size_t *ret_n) {
    const char *best = begins_with_folder(text, GUEST_PROJECT, ret_n) ? app->project.root : NULL;
    for (size_t i = 0; i < app->mounts.n; i++) {
        const struct mount *m = &app->mounts.mounts[i];
        if (m->host != NULL && begins_with_folder(text, m->guest, ret_n))
            best = m->host;
    }
    return best;
}

/* What comes before a file's name in a traceback: of Python; of JavaScript, with and without a function's name. */
static const char *const MARKERS[] = {"File \"", " (", "    at "};

/* The next place in text where a file's name may begin; NULL: there's none. */
static const char *next_file(const char *text) {
    const char *best = NULL;
    for (size_t i = 0; i < sizeof MARKERS / sizeof MARKERS[0]; i++) {
        const char *at = strstr(text, MARKERS[i]);
        if (at != NULL && (best == NULL || at + strlen(MARKERS[i]) < best))
            best = at + strlen(MARKERS[i]);
    }
    return best;
}

char *app_host_traceback(const struct capsule_app *app, const char *text) {
    if (text == NULL)
        return NULL;
    struct buffer out = BUFFER_INIT(DESCRIPTION_MAX);
    while (*text != '\0') {
        const char *at = next_file(text);
        size_t n = at == NULL ? strlen(text) : (size_t)(at - text);
        if (buffer_append(&out, text, n) != 0)
            break;
        text += n;
        size_t prefix = 0;
        const char *folder = at == NULL ? NULL : host_folder(app, text, &prefix);
        if (folder != NULL && buffer_puts(&out, folder) == 0)
            text += prefix;
    }
    return buffer_take(&out);
}

/* ---- tasks ---- */

static void task_done(struct app_task *t) {
    policy_done(&t->policy);
    free(t->where);
    free(t->env_json);
    free(t->secrets);
}

static int compare_tasks(const void *a, const void *b) {
    const struct app_task *x = a, *y = b;
    int r = strcmp(x->policy.name, y->policy.name);
    return r != 0 ? r : strverscmp(x->where, y->where);
}

static int compare_name(const void *name, const void *task) {
    return strcmp(name, ((const struct app_task *)task)->policy.name);
}

const struct app_task *app_find(const struct capsule_app *app, const char *name) {
    return bsearch(name, app->tasks, app->tasks_n, sizeof *app->tasks, compare_name);
}

static void name_tasks(const struct capsule_app *app, struct error *err) {
    CLEANUP(buffer_done) struct buffer names = BUFFER_INIT(ERROR_HINT_MAX - 64);
    for (size_t i = 0; i < app->tasks_n; i++)
        (void)buffer_printf(&names, "%s%s", i == 0 ? "" : ", ", app->tasks[i].policy.name);
    error_hint(err, "%s declares: %s", app->project.entry, buffer_text(&names));
}

int app_entry(const struct capsule_app *app, const char *name, const struct app_task **ret, struct error *err) {
    const struct app_task *task = app_find(app, name != NULL ? name : "main");
    /* In TypeScript main is required, as its documentation has always said. */
    if (task == NULL && name == NULL && app->tasks_n == 1 && app->project.language == LANGUAGE_PYTHON)
        task = &app->tasks[0];
    if (task != NULL) {
        *ret = task;
        return 0;
    }
    if (app->tasks_n == 0) {
        error_set(err, ERROR_PROJECT, "%s declares no task", app->project.entry);
        if (app->project.language == LANGUAGE_PYTHON)
            error_hint(err, "put @task (from capsule import task) on a function");
        else
            error_hint(err, "export const main = task({ name: \"main\" }, …), with task from @capsule-run/sdk");
        return ERROR_PROJECT;
    }
    if (name != NULL)
        error_set(err, ERROR_NOT_FOUND, "%s has no task named \"%s\"", app->project.entry, name);
    else
        error_set(err, ERROR_PROJECT, "%s has %zu task%s and none is named main: which one to run?",
                  app->project.entry, app->tasks_n, app->tasks_n == 1 ? "" : "s");
    name_tasks(app, err);
    return name != NULL ? ERROR_NOT_FOUND : ERROR_PROJECT;
}

/* Puts "main.py:12: " before a message. */
static int at_place(struct error *err, const char *where, int code) {
    if (strncmp(err->message, where, strlen(where)) == 0)
        return code;
    error_prefix(err, "%s", where);
    err->code = ERROR_PROJECT;
    return ERROR_PROJECT;
}

static int read_options(const json_value *options, const char *where, struct task_options *ret,
                        struct error *err) {
    size_t cursor = 0;
    const char *key;
    for (const json_value *v; (v = json_next(options, &cursor, &key)) != NULL;) {
        int r = task_options_set(ret, OPTIONS_DECORATOR, key, v, err);
        if (r != 0)
            return at_place(err, where, r);
    }
    return 0;
}

/* A variable that a task names may be missing; one that somebody asked for by hand is a mistake. */
static int check_variables(const struct opening *o, struct error *err) {
    for (size_t i = 0; i < o->options->variables_n; i++) {
        const capsule_variable *v = &o->options->variables[i];
        if (v->value != NULL || dotenv_get(o->dotenv, v->name) != NULL)
            continue;
        error_set(err, ERROR_INVALID, "the variable %s is set neither in the environment nor in .env", v->name);
        error_hint(err, "set it, or give it a value: %s=…", v->name);
        return ERROR_INVALID;
    }
    return 0;
}

/* Of a variable that a task is given: the embedder's value, or the environment's, NULL if it isn't set. */
static const char *variable_value(const void *opening, const char *name) {
    const struct opening *o = opening;
    for (size_t i = o->options->variables_n; i-- > 0;) { /* the last one wins */
        const capsule_variable *v = &o->options->variables[i];
        if (v->value != NULL && strcmp(v->name, name) == 0)
            return v->value;
    }
    return dotenv_get(o->dotenv, name);
}

static bool grant_secret(struct app_task *t, const struct http_secret *secret) {
    for (size_t i = 0; i < t->secrets_n; i++) {
        if (t->secrets[i].name == secret->name)
            return true;
    }
    struct http_secret *items = reallocarray(t->secrets, t->secrets_n + 1, sizeof *items);
    if (items == NULL)
        return false;
    t->secrets = items;
    t->secrets[t->secrets_n++] = *secret;
    return true;
}

/* The environment that's on record; what is a secret's token in it is again. */
static int restore_environment(const struct opening *o, struct app_task *t, struct error *err) {
    const struct secrets *secrets = &o->app->secrets;
    const char *json = json_text(json_get(json_get(o->record, "environment"), t->policy.name), NULL);
    t->env_json = json != NULL ? strdup(json) : NULL;
    bool kept = json == NULL || t->env_json != NULL;
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json != NULL && json_parse(json, strlen(json), &document, err) != 0)
        return ERROR_CORRUPT;
    for (size_t i = 0; i < o->app->project.manifest.n_secrets; i++) {
        const char *name = o->app->project.manifest.secrets[i].name;
        if (json_get(json_root(document), name) != NULL && secrets_find(secrets, name) == NULL)
            return error_set(err, ERROR_PROJECT, "the secret %s, which the run began with, isn't set any more",
                             name);
    }
    for (size_t i = 0; kept && json != NULL && i < secrets->n; i++)
        kept = strstr(json, secrets->items[i].token) == NULL || grant_secret(t, &secrets->items[i]);
    return kept ? 0 : error_set(err, ERROR_NOMEM, "no memory for an environment");
}

/* The variables that a policy names, and the embedder's, as a JSON object. A variable that isn't set is left out. */
static int write_environment(const struct opening *o, struct app_task *t, struct error *err) {
    CLEANUP(buffer_done) struct buffer json = BUFFER_INIT(ENVIRONMENT_MAX);
    size_t names = t->policy.env.n, given = o->options->variables_n;
    for (size_t i = 0; i < names + given; i++) {
        const char *name = i < names ? t->policy.env.items[i] : o->options->variables[i - names].name;
        const struct http_secret *secret = secrets_find(&o->app->secrets, name);
        const char *value = secret != NULL ? secret->token : variable_value(o, name);
        if (value == NULL)
            continue;
        if (secret != NULL && !grant_secret(t, secret))
            return error_set(err, ERROR_NOMEM, "no memory for secrets");
        buffer_putc(&json, json.size == 0 ? '{' : ',');
        json_write_string(&json, name, strlen(name));
        buffer_putc(&json, ':');
        json_write_string(&json, value, strlen(value));
    }
    if (json.size == 0)
        return 0;
    int r = buffer_putc(&json, '}');
    if (r != 0)
        return error_set(err, ERROR_LIMIT, "the environment of task %s is larger than %d bytes", t->policy.name,
                         (int)ENVIRONMENT_MAX);
    t->env_json = buffer_take(&json);
    return 0;
}

static int check_policy(const struct opening *o, const struct app_task *t, struct error *err) {
    const struct capsule_app *app = o->app;
    uint64_t needed = app->image->info.size;
    if (t->policy.ram < needed) {
        error_set(err, ERROR_PROJECT,
                  "task %s may use %" PRIu64 " bytes of ram, but its program needs %" PRIu64 " to start",
                  t->policy.name, t->policy.ram, needed);
        error_hint(err, "give it a ram of \"%" PRIu64 "MB\" or more", needed / 1000000 + 8);
        return ERROR_PROJECT;
    }
    /* Grants are opened anew for each sandbox; that they exist is said now, with the line. */
    struct mount_table trial = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->policy.n_files; i++)
        r = mounts_add_grant(&trial, &app->project, &t->policy.files[i], err);
    mounts_done(&trial);
    return r;
}

static int read_task(const struct opening *o, const json_value *v, struct app_task *ret, struct error *err) {
    const struct manifest *m = &o->app->project.manifest;
    const char *name = json_text(json_get(v, "name"), NULL), *file = json_text(json_get(v, "file"), "");
    uint64_t line = 0;
    (void)json_u64(json_get(v, "line"), &line);
    const char *rest = path_below(file, GUEST_PROJECT);
    if (asprintf(&ret->where, "%s:%" PRIu64, rest != NULL ? rest : file, line) < 0) {
        ret->where = NULL;
        return error_set(err, ERROR_NOMEM, "no memory for a task");
    }
    if (name == NULL || *name == '\0' || strlen(name) > POLICY_NAME_MAX)
        return error_set(err, ERROR_PROJECT, "%s: a task's name has 1 to %d characters", ret->where,
                         (int)POLICY_NAME_MAX);
    struct task_options options = {0};
    int r = read_options(json_get(v, "options"), ret->where, &options, err);
    if (r == 0) {
        r = policy_resolve(name, ret->where, &options, &m->defaults, &m->limits, &ret->policy, err);
        if (r == 0 && ret->policy.timeout_ns == 0)
            ret->policy.timeout_ns = o->options->timeout;
        if (r == 0)
            r = check_policy(o, ret, err);
        if (r != 0)
            r = at_place(err, ret->where, r);
    }
    task_options_done(&options);
    if (r != 0)
        return r;
    return o->record != NULL ? restore_environment(o, ret, err) : write_environment(o, ret, err);
}

static int read_tasks(const struct opening *o, const json_value *tasks, struct error *err) {
    struct capsule_app *app = o->app;
    size_t n = json_size(tasks);
    if (n > TASKS_MAX)
        return error_set(err, ERROR_PROJECT, "%s declares %zu tasks; the limit is %d", app->project.entry, n,
                         (int)TASKS_MAX);
    app->tasks = calloc(n + 1, sizeof *app->tasks);
    if (app->tasks == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for the tasks");
    for (size_t i = 0; i < n; i++) {
        app->tasks_n = i + 1;
        int r = read_task(o, json_at(tasks, i), &app->tasks[i], err);
        if (r != 0)
            return r;
    }
    qsort(app->tasks, n, sizeof *app->tasks, compare_tasks);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(app->tasks[i - 1].policy.name, app->tasks[i].policy.name) == 0)
            return error_set(err, ERROR_PROJECT, "%s: the name \"%s\" is taken by the task at %s",
                             app->tasks[i].where, app->tasks[i].policy.name, app->tasks[i - 1].where);
    }
    return 0;
}

/* ---- description ---- */

static void describe_list(struct buffer *to, const char *name, const struct string_list *list) {
    buffer_printf(to, ",\"%s\":[", name);
    for (size_t i = 0; i < list->n; i++) {
        buffer_puts(to, i == 0 ? "" : ",");
        json_write_string(to, list->items[i], strlen(list->items[i]));
    }
    buffer_putc(to, ']');
}

static void describe_task(struct buffer *to, const struct app_task *t) {
    const struct policy *p = &t->policy;
    buffer_puts(to, "{\"name\":");
    json_write_string(to, p->name, strlen(p->name));
    buffer_puts(to, ",\"where\":");
    json_write_string(to, t->where, strlen(t->where));
    buffer_printf(to,
                  ",\"fuel\":%" PRIu64 ",\"ram\":%" PRIu64 ",\"timeout_ns\":%" PRIu64 ",\"max_retries\":%" PRIu32
                  ",\"allowed_files\":[",
                  p->fuel, p->ram, p->timeout_ns, p->max_retries);
    for (size_t i = 0; i < p->n_files; i++) {
        buffer_puts(to, i == 0 ? "{\"path\":" : ",{\"path\":");
        json_write_string(to, p->files[i].host, strlen(p->files[i].host));
        buffer_printf(to, ",\"mode\":\"%s\"}", p->files[i].writable ? "rw" : "ro");
    }
    buffer_putc(to, ']');
    if (p->hosts_listed)
        describe_list(to, "allowed_hosts", &p->hosts);
    else
        buffer_puts(to, ",\"allowed_hosts\":null");
    describe_list(to, "env_variables", &p->env);
    buffer_putc(to, '}');
}

static int describe(struct capsule_app *app, struct error *err) {
    struct buffer json = BUFFER_INIT(DESCRIPTION_MAX);
    buffer_puts(&json, "{\"root\":");
    json_write_string(&json, app->project.root, strlen(app->project.root));
    buffer_puts(&json, ",\"entry\":");
    json_write_string(&json, app->project.entry, strlen(app->project.entry));
    buffer_puts(&json, ",\"tasks\":[");
    for (size_t i = 0; i < app->tasks_n; i++) {
        buffer_puts(&json, i == 0 ? "" : ",");
        describe_task(&json, &app->tasks[i]);
    }
    int r = buffer_puts(&json, "]}");
    app->description = buffer_take(&json);
    return r == 0 && app->description != NULL
               ? 0
               : error_set(err, ERROR_LIMIT, "the application's description is too long");
}

/* ---- opening ---- */

static int add_mounts(const struct opening *o, struct error *err) {
    struct capsule_app *app = o->app;
    struct mount libraries[GUEST_LIBRARIES_MAX];
    size_t n = guest_mounts(app->guest, libraries);
    int r = mounts_copy(&app->mounts, libraries, n, err);
    /* A bundle has all its sources inside. */
    return r == 0 && app->project.language == LANGUAGE_PYTHON
               ? mounts_add_project(&app->mounts, &app->project, err)
               : r;
}

static int obtain_image(const struct opening *o, struct json_document **ret_index, struct error *err) {
    struct capsule_app *app = o->app;
    struct guest_context context = runtime_guest_context(app->runtime);
    struct image_request request = {.guest = app->guest,
                                    .guests_dir = app->runtime->guests_dir,
                                    .context = &context,
                                    .project = &app->project,
                                    .mounts = &app->mounts,
                                    .no_cache = o->options->no_cache != 0,
                                    .on_output = o->options->on_output,
                                    .user = o->options->user};
    int r = guest_load(request.guest, &context, err);
    if (r == 0)
        r = image_obtain(&request, &app->image, ret_index, err);
    if (r == ERROR_IMPORT && err != NULL) {
        CLEANUP(cleanup_free) char *text = app_host_traceback(app, err->message);
        CLEANUP(cleanup_free) char *hint = strdup(err->hint);
        if (text != NULL)
            error_set(err, r, "%s", text);
        if (hint != NULL && *hint != '\0')
            error_hint(err, "%s", hint);
    }
    return r;
}

static struct http_limits http_limits(const struct http_settings *s) {
    return (struct http_limits){
        .response = s->max_response_size != 0 ? s->max_response_size : HTTP_RESPONSE_DEFAULT,
        .headers = s->max_header_size != 0 ? s->max_header_size : HTTP_HEADERS_DEFAULT,
        .total = s->max_total_bytes != 0 ? s->max_total_bytes : HTTP_TOTAL_DEFAULT,
        .requests = s->max_concurrent_requests != 0 ? s->max_concurrent_requests : HTTP_REQUESTS_DEFAULT};
}

/* The embedder's mounts, and with that who may write files. */
static int mount_given(const struct opening *o, struct error *err) {
    struct capsule_app *app = o->app;
    bool writable = false;
    int r = 0;
    for (size_t i = 0; r == 0 && i < o->options->mounts_n; i++) {
        const capsule_mount *m = &o->options->mounts[i];
        writable |= m->writable != 0;
        r = mounts_add_path(&app->mounts, &app->project, m->host, m->guest, m->writable != 0, err);
    }
    for (size_t i = 0; i < app->tasks_n; i++) {
        struct app_task *t = &app->tasks[i];
        t->writes = writable;
        for (size_t j = 0; j < t->policy.n_files; j++)
            t->writes |= t->policy.files[j].writable;
    }
    return r;
}

/* Its image, the tasks that are declared in it, and, if its runs are recorded, the record for those. */
static int load_program(struct opening *o, struct error *err) {
    struct capsule_app *app = o->app;
    CLEANUP(json_cleanup) struct json_document *index = NULL;
    bool touched;
    int r = o->record != NULL ? app_take_image(app, o->options->journal_dir, o->record, err)
                              : obtain_image(o, &index, err);
    /* An image that's gone is built again from the same sources. Whatever it read or drew while it was imported may differ; a replay that does, says so. */
    if ((r == ERROR_NOT_FOUND || r == ERROR_CORRUPT) && o->record != NULL &&
        dependencies_unchanged(json_get(o->record, "dependencies"), &touched))
        r = obtain_image(o, &index, err);
    const json_value *image = o->record != NULL ? json_get(o->record, "image") : json_root(index);
    if (r == 0)
        r = read_tasks(o, json_get(image, "tasks"), err);
    if (r == 0)
        r = mount_given(o, err);
    if (r == 0 && o->options->journal)
        r = app_write_record(app, o->options, image, err);
    return r;
}

static int open_app(struct opening *o, const char *file, struct error *err) {
    struct capsule_app *app = o->app;
    struct secrets_source secrets = {.value = variable_value, .user = o, .cache = app->runtime->cache};
    int r = o->record == NULL ? project_open(file, &app->project, err)
                              : project_open_at(json_text(json_get(o->record, "root"), ""),
                                                json_text(json_get(o->record, "entry"), ""), &app->project, err);
    if (r == 0)
        r = runtime_guest(app->runtime, app->project.language, &app->guest, err);
    if (r == 0)
        r = dotenv_read(&app->project, &o->dotenv, err);
    if (r == 0 && o->record == NULL)
        r = check_variables(o, err);
    secrets.root = app->project.root;
    if (r == 0)
        r = secrets_read(&app->project.manifest, &secrets, &app->secrets, err);
    if (r == 0)
        r = add_mounts(o, err);
    if (r == 0)
        r = load_program(o, err);
    return r == 0 ? describe(app, err) : r;
}

int app_open(capsule_runtime *runtime, const char *file, const capsule_app_options *options,
             const json_value *record, capsule_app **ret_app, capsule_error *error) {
    static const capsule_app_options defaults;
    struct error err = {0};
    struct opening o = {
        .app = calloc(1, sizeof *o.app), .options = options != NULL ? options : &defaults, .record = record};
    if (o.app == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for an application");
    o.app->runtime = runtime;
    o.app->project.root_fd = -1;
    int r = open_app(&o, file, &err);
    o.app->http_limits = http_limits(&o.app->project.manifest.http);
    dotenv_free(o.dotenv);
    if (r != 0) {
        capsule_app_close(o.app);
        return runtime_error(error, r, &err);
    }
    *ret_app = o.app;
    return 0;
}

int capsule_app_open(capsule_runtime *runtime, const char *file, const capsule_app_options *options,
                     capsule_app **ret_app, capsule_error *error) {
    return app_open(runtime, file, options, NULL, ret_app, error);
}

void capsule_app_close(capsule_app *app) {
    if (app == NULL)
        return;
    if (app->image != NULL)
        runtime_forget_image(app->runtime, app->image);
    image_release(app->image);
    app_close_record(app);
    for (size_t i = 0; i < app->tasks_n; i++)
        task_done(&app->tasks[i]);
    free(app->tasks);
    secrets_done(&app->secrets);
    mounts_done(&app->mounts);
    project_done(&app->project);
    free(app->description);
    free(app);
}

const char *capsule_app_describe(const capsule_app *app) {
    return app->description;
}
