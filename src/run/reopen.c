/* Records of applications, and copies of their images. */
#include "run/reopen.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/path.h"
#include "run/app.h"
#include "run/image_store.h"
#include "run/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_MAX = 32 * 1024 * 1024, RECORD_VERSION = 1, KEEP_DEFAULT_DAYS = 30 };

/* ---- writing ---- */

static void write_member(struct buffer *to, const char *name, const char *text) {
    buffer_printf(to, "\"%s\":", name);
    json_write_string(to, text, strlen(text));
}

static void write_image(struct buffer *to, const struct capsule_app *app, const json_value *image) {
    const struct image_info *info = &app->image->info;
    buffer_puts(to, ",\"image\":{");
    write_member(to, "object", app->image_object);
    buffer_printf(to,
                  ",\"size\":%" PRIu64 ",\"inbox\":%" PRIu32 ",\"inbox_size\":%" PRIu32 ",\"tasks\":", info->size,
                  info->inbox, info->inbox_size);
    json_write(json_get(image, "tasks"), to);
    buffer_puts(to, "},\"dependencies\":");
    if (json_get(image, "dependencies") != NULL)
        json_write(json_get(image, "dependencies"), to);
    else
        buffer_puts(to, "null");
}

/* Host paths are made absolute: a run may be resumed from another folder. */
static int write_mounts(struct buffer *to, const capsule_app_options *o, struct error *err) {
    char here[PATH_LENGTH_MAX], host[PATH_LENGTH_MAX];
    if (o->mounts_n > 0 && getcwd(here, sizeof here) == NULL)
        return error_errno(err, ERROR_IO, errno, "can't tell the working directory");
    buffer_puts(to, ",\"mounts\":[");
    for (size_t i = 0; i < o->mounts_n; i++) {
        const capsule_mount *m = &o->mounts[i];
        if (path_normalize(here, m->host, host, sizeof host) < 0)
            return error_set(err, ERROR_LIMIT, "the path of a mount is too long");
        buffer_puts(to, i > 0 ? ",{" : "{");
        write_member(to, "host", host);
        if (m->guest != NULL) {
            buffer_putc(to, ',');
            write_member(to, "guest", m->guest);
        }
        buffer_printf(to, ",\"writable\":%s}", m->writable ? "true" : "false");
    }
    buffer_putc(to, ']');
    return 0;
}

static int write_environments(struct buffer *to, const struct capsule_app *app, struct error *err) {
    const char *separator = "";
    buffer_puts(to, ",\"environment\":{");
    for (size_t i = 0; i < app->tasks_n; i++) {
        const struct app_task *t = &app->tasks[i];
        if (t->env_json == NULL)
            continue;
        buffer_puts(to, separator);
        json_write_string(to, t->policy.name, strlen(t->policy.name));
        buffer_putc(to, ':');
        json_write_string(to, t->env_json, strlen(t->env_json));
        separator = ",";
    }
    return buffer_puts(to, "}}") == 0
               ? 0
               : error_set(err, ERROR_LIMIT, "the application's record is longer than %d bytes", (int)RECORD_MAX);
}

/* An image that isn't in the cache has no name yet. */
static char *name_image(const char *object) {
    uint8_t random[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE], *name = NULL;
    if (object != NULL && *object != '\0')
        return strdup(object);
    random_bytes(random, sizeof random);
    digest_hex(random, hex);
    return asprintf(&name, "%s.image", hex) < 0 ? NULL : name;
}

int app_write_record(struct capsule_app *app, const capsule_app_options *o, const json_value *image,
                     struct error *err) {
    app->recorded = true;
    app->record = BUFFER_INIT(RECORD_MAX);
    app->image_object = name_image(json_text(json_get(image, "object"), NULL));
    bool named = o->journal_dir != NULL ? (app->journal_dir = strdup(o->journal_dir)) != NULL
                                        : asprintf(&app->journal_dir, "%s/.capsule", app->project.root) >= 0;
    if (app->image_object == NULL || !named)
        return error_set(err, ERROR_NOMEM, "no memory for an application's record");
    struct buffer *to = &app->record;
    buffer_printf(to, "{\"version\":%d,", RECORD_VERSION);
    write_member(to, "root", app->project.root);
    buffer_putc(to, ',');
    write_member(to, "entry", app->project.entry);
    buffer_putc(to, ',');
    write_member(to, "guest", app->guest->key);
    write_image(to, app, image);
    buffer_printf(to, ",\"timeout_ns\":%" PRIu64, o->timeout);
    int r = write_mounts(to, o, err);
    return r == 0 ? write_environments(to, app, err) : r;
}

/* Once a day, whoever has used the journal removes runs that ended long ago. That it can't be done is told by `capsule gc`. */
static void collect_now_and_then(const struct capsule_app *app) {
    const uint64_t day = 24 * 3600 * NS_PER_S, given = app->project.manifest.journal_keep, now = clock_wall_ns();
    const uint64_t keep = given != 0 ? given : KEEP_DEFAULT_DAYS * day;
    char path[PATH_LENGTH_MAX];
    struct stat st;
    struct journal_collection removed;
    if (keep > now || snprintf(path, sizeof path, "%s/collected", app->journal_dir) >= (int)sizeof path)
        return;
    bool is_new = stat(path, &st) != 0;
    if (!is_new && (uint64_t)st.st_mtim.tv_sec * NS_PER_S + day > now)
        return;
    CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || futimens(fd, NULL) != 0 || is_new)
        return;
    (void)journal_collect(app->journal, now - keep, false, &removed, NULL);
}

void app_close_record(struct capsule_app *app) {
    if (app->journal != NULL)
        collect_now_and_then(app);
    journal_close(app->journal);
    buffer_done(&app->record);
    free(app->journal_dir);
    free(app->image_object);
}

int app_journal(struct capsule_app *app, struct journal **ret, struct error *err) {
    pthread_mutex_lock(&app->runtime->lock);
    int r = app->journal != NULL ? 0 : journal_open(app->journal_dir, JOURNAL_CREATE, &app->journal, err);
    *ret = app->journal;
    pthread_mutex_unlock(&app->runtime->lock);
    return r;
}

/* ---- images ---- */

static int image_path(const char *dir, const char *object, const char *suffix, char ret[PATH_LENGTH_MAX],
                      struct error *err) {
    int n = snprintf(ret, PATH_LENGTH_MAX, "%s/images/%s%s", dir, object, suffix);
    return n > 0 && n < PATH_LENGTH_MAX ? 0 : error_set(err, ERROR_LIMIT, "the journal's path is too long");
}

static bool copy_all(int from, int to, uint64_t size) {
    off_t at = 0, end = (off_t)size;
    if (FAULT("reopen.copy") || ftruncate(to, end) != 0)
        return false;
    /* Only what isn't a hole. */
    while (at < end && (at = lseek(from, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(from, at, SEEK_HOLE), out = at;
        while (at < hole) {
            ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(hole - at), 0);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return false;
        }
    }
    return at >= 0 || errno == ENXIO;
}

static int write_digest(const char *path, int image, struct error *err) {
    char hex[DIGEST_HEX_SIZE];
    CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || file_digest(image, NULL, hex) != 0 || !file_write(fd, hex, strlen(hex)) || fsync(fd) != 0)
        return error_errno(err, ERROR_IO, errno, "can't write %s", path);
    return 0;
}

/* The image appears under its name when it's whole and its digest is there. */
static int keep_image(const struct capsule_app *app, struct error *err) {
    char path[PATH_LENGTH_MAX], digest[PATH_LENGTH_MAX], temporary[PATH_LENGTH_MAX], suffix[32];
    snprintf(suffix, sizeof suffix, ".%d.tmp", (int)getpid());
    int r = image_path(app->journal_dir, app->image_object, "", path, err);
    if (r == 0)
        r = image_path(app->journal_dir, app->image_object, ".digest", digest, err);
    if (r == 0)
        r = image_path(app->journal_dir, app->image_object, suffix, temporary, err);
    if (r != 0 || access(path, F_OK) == 0)
        return r;
    CLEANUP(cleanup_close) int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "can't write %s", temporary);
    r = copy_all(app->image->fd, fd, app->image->info.size) && fsync(fd) == 0 && fchmod(fd, 0400) == 0
            ? write_digest(digest, fd, err)
            : error_errno(err, ERROR_IO, errno, "can't write %s", temporary);
    if (r == 0 && rename(temporary, path) != 0)
        r = error_errno(err, ERROR_IO, errno, "can't rename %s", temporary);
    if (r != 0)
        (void)unlink(temporary);
    return r;
}

int app_keep_image(struct capsule_app *app, struct error *err) {
    char folder[PATH_LENGTH_MAX];
    int r = image_path(app->journal_dir, "", "", folder, err);
    if (r == 0 && mkdir(folder, 0700) != 0 && errno != EEXIST)
        r = error_errno(err, ERROR_IO, errno, "can't make %s", folder);
    pthread_mutex_lock(&app->runtime->lock); /* two runs may want it at once */
    if (r == 0)
        r = keep_image(app, err);
    pthread_mutex_unlock(&app->runtime->lock);
    return r;
}

void app_drop_image(struct capsule_app *app) {
    char path[PATH_LENGTH_MAX], digest[PATH_LENGTH_MAX];
    bool needed = true;
    if (image_path(app->journal_dir, app->image_object, "", path, NULL) != 0 ||
        image_path(app->journal_dir, app->image_object, ".digest", digest, NULL) != 0 || access(path, F_OK) != 0)
        return;
    pthread_mutex_lock(&app->runtime->lock);
    if (journal_needs_image(app->journal, app->image_object, &needed, NULL) == 0 && !needed && unlink(path) == 0)
        (void)unlink(digest);
    pthread_mutex_unlock(&app->runtime->lock);
}

/* The copy in the journal's folder, if it's what was written. */
static int open_kept(const char *dir, const char *object, int *ret_fd, struct error *err) {
    char path[PATH_LENGTH_MAX], digest_path[PATH_LENGTH_MAX], hex[DIGEST_HEX_SIZE];
    CLEANUP(buffer_done) struct buffer expected = BUFFER_INIT(DIGEST_HEX_SIZE);
    int r = image_path(dir, object, "", path, err);
    if (r == 0)
        r = image_path(dir, object, ".digest", digest_path, err);
    if (r != 0)
        return r;
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(cleanup_close) int digest = open(digest_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || digest < 0)
        return error_errno(err, ERROR_NOT_FOUND, errno, "can't open %s", path);
    if (file_read(digest, &expected) != 0 || file_digest(fd, NULL, hex) != 0 ||
        strcmp(buffer_text(&expected), hex) != 0)
        return error_set(err, ERROR_CORRUPT, "%s isn't what was written", path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int take_kept(struct capsule_app *app, const char *dir, const json_value *image, struct error *err) {
    uint64_t size = 0, inbox = 0, inbox_size = 0;
    const char *object = json_text(json_get(image, "object"), "");
    int fd = -1;
    if (!json_u64(json_get(image, "size"), &size) || !json_u64(json_get(image, "inbox"), &inbox) ||
        !json_u64(json_get(image, "inbox_size"), &inbox_size) || *object == '\0' || strchr(object, '/') != NULL ||
        *object == '.' || inbox > UINT32_MAX || inbox_size > UINT32_MAX)
        return error_set(err, ERROR_CORRUPT, "the record of the application is incomplete");
    int r = open_kept(dir, object, &fd, err);
    struct image_info info = {.size = size, .inbox = (uint32_t)inbox, .inbox_size = (uint32_t)inbox_size};
    return r == 0 ? image_open(fd, info, &app->image, err) : r;
}

int app_take_image(struct capsule_app *app, const char *journal_dir, const json_value *record, struct error *err) {
    struct guest_context context = runtime_guest_context(app->runtime);
    const json_value *image = json_get(record, "image");
    if (strcmp(json_text(json_get(record, "guest"), ""), app->guest->key) != 0) {
        error_set(err, ERROR_NOT_FOUND, "the run began with another version of the %s guest",
                  app->guest->kind->title);
        error_hint(err, "resume it with the version of Capsule that it began with");
        return ERROR_NOT_FOUND;
    }
    int r = guest_load(app->guest, &context, err);
    if (r != 0 || image_store_take(app->runtime->cache, image, &app->image, NULL) == 0)
        return r;
    r = take_kept(app, journal_dir, image, err);
    if (r == ERROR_NOT_FOUND) {
        error_set(err, r, "the application's image, which the run began with, is gone from the cache");
        error_hint(err,
                   "its sources have changed since, so that it can't be built again: start the run anew, or undo "
                   "the changes");
    }
    return r;
}

/* ---- opening again ---- */

static int mounts_of(const json_value *record, capsule_mount **ret, size_t *ret_n, struct error *err) {
    const json_value *list = json_get(record, "mounts"), *v;
    size_t cursor = 0, n = 0;
    capsule_mount *mounts = calloc(json_size(list) + 1, sizeof *mounts);
    if (mounts == NULL)
        return error_set(err, ERROR_NOMEM, "no memory for mounts");
    while ((v = json_each(list, &cursor)) != NULL)
        mounts[n++] = (capsule_mount){.host = json_text(json_get(v, "host"), ""),
                                      .guest = json_text(json_get(v, "guest"), NULL),
                                      .writable = json_bool(json_get(v, "writable"), false)};
    *ret = mounts;
    *ret_n = n;
    return 0;
}

static int reopen(capsule_runtime *runtime, const char *dir, const struct journal_row *row,
                  const capsule_app_options *given, capsule_app **ret, capsule_error *error) {
    struct error err = {0};
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    CLEANUP(cleanup_free) capsule_mount *mounts = NULL;
    capsule_app_options options = {.journal = 1, .journal_dir = dir};
    uint64_t version = 0;
    int r = json_parse(row->app, row->app_n, &document, &err);
    const json_value *record = json_root(document);
    if (r == 0 && (!json_u64(json_get(record, "version"), &version) || version != RECORD_VERSION))
        r = error_set(&err, ERROR_UNSUPPORTED, "run %s was recorded by another version of Capsule", row->id);
    if (r == 0)
        r = mounts_of(record, &mounts, &options.mounts_n, &err);
    if (r != 0)
        return runtime_error(error, r, &err);
    options.mounts = mounts;
    (void)json_u64(json_get(record, "timeout_ns"), &options.timeout);
    if (given != NULL) {
        options.on_output = given->on_output;
        options.user = given->user;
    }
    return app_open(runtime, NULL, &options, record, ret, error);
}

int capsule_app_reopen(capsule_runtime *runtime, const char *journal_dir, const char *run_id,
                       const capsule_app_options *options, capsule_app **ret_app, capsule_error *error) {
    struct error err = {0};
    struct journal *journal = NULL;
    struct journal_row row = {0};
    int r = journal_open(journal_dir, JOURNAL_WRITE, &journal, &err);
    if (r == 0)
        r = journal_find(journal, run_id, true, &row, &err);
    journal_close(journal);
    r = r == 0 ? reopen(runtime, journal_dir, &row, options, ret_app, error) : runtime_error(error, r, &err);
    journal_row_done(&row);
    return r;
}
