/* capsule_diagnose: what this installation can do, found out by trying it. */
#include "app/bundle.h"
#include "app/cache.h"
#include "base/buffer.h"
#include "base/json.h"
#include "run/runtime.h"
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { REPORT_MAX = 1024 * 1024 };

struct check {
    const char *name;
    bool ok;
    const char *detail, *fix;
};

static void write_text(struct buffer *to, const char *name, const char *text) {
    buffer_printf(to, "\"%s\":", name);
    json_write_string(to, text, strlen(text));
}

static void write_check(struct buffer *to, const struct check *c, bool first) {
    buffer_puts(to, first ? "{" : ",{");
    write_text(to, "name", c->name);
    buffer_printf(to, ",\"ok\":%s,", c->ok ? "true" : "false");
    write_text(to, "detail", c->detail);
    if (!c->ok && c->fix != NULL) {
        buffer_putc(to, ',');
        write_text(to, "fix", c->fix);
    }
    buffer_putc(to, '}');
}

static bool openat2_works(void) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static uint64_t read_map_count(void) {
    unsigned long long count = 0;
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%llu", &count) != 1)
        count = 0;
    fclose(f);
    return count;
}

/* A guest, tried. */
struct trial {
    const struct guest_kind *kind;
    struct guest *guest; /* NULL: it isn't installed */
    bool ready, boots;
    struct error code, image; /* why not */
};

static void try_guest(capsule_runtime *rt, enum language language, struct trial *ret) {
    struct guest_context context = runtime_guest_context(rt);
    struct image *image = NULL;
    *ret = (struct trial){.kind = guest_kind(language)};
    ret->ready = runtime_guest(rt, language, &ret->guest, &ret->code) == 0 &&
                 guest_load(ret->guest, &context, &ret->code) == 0;
    ret->boots = ret->ready && guest_base_image(ret->guest, &context, &image, &ret->image) == 0;
}

static void write_guest_checks(struct buffer *to, const struct trial *t, bool first) {
    char guest[64], image[64];
    snprintf(guest, sizeof guest, "guest %s", t->kind->name);
    snprintf(image, sizeof image, "base image of %s", t->kind->name);
    const struct check code = {guest, t->ready, t->ready ? t->guest->version : t->code.message, t->code.hint};
    write_check(to, &code, first);
    if (!t->ready)
        return;
    const struct check boots = {image, t->boots, t->boots ? "boots" : t->image.message, t->image.hint};
    write_check(to, &boots, false);
}

static void write_checks(struct buffer *to, capsule_runtime *rt, const struct trial *trials) {
    char cache[PATH_MAX + 64], maps[64];
    snprintf(cache, sizeof cache, "%s%s", cache_dir(rt->cache),
             cache_writable(rt->cache) ? "" : " can't be written");
    uint64_t map_count = read_map_count();
    snprintf(maps, sizeof maps, "vm.max_map_count is %" PRIu64, map_count);
    struct error http = {0}, bundler = {0};
    bool requests = http_client_check(rt->guests_dir, &http) == 0;
    CLEANUP(cleanup_free) char *esbuild = NULL;
    bool bundles = bundle_find(rt->guests_dir, &esbuild, &bundler) == 0;
    bool scan = slot_scan_supported(engine_slots(rt->engine)), beneath = openat2_works();
    const struct check checks[] = {
        {"esbuild", bundles, bundles ? esbuild : bundler.message, bundler.hint},
        {"HTTP", requests, requests ? "libcurl loads" : http.message, http.hint},
        {"cache", cache_writable(rt->cache), cache,
         "make the folder writable, or set CAPSULE_CACHE to another one"},
        {"openat2", beneath, beneath ? "available" : "missing",
         "use Linux 5.6 or later: file access of tasks depends on it"},
        {"PAGEMAP_SCAN", scan, scan ? "available" : "missing: sandboxes are reset the slow way",
         "use Linux 6.7 or later"},
        {"maps", map_count >= 65530, maps, "sysctl vm.max_map_count=65530"},
    };
    buffer_puts(to, ",\"checks\":[");
    for (size_t i = 0; i < LANGUAGES_N; i++)
        write_guest_checks(to, &trials[i], i == 0);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        write_check(to, &checks[i], false);
    buffer_putc(to, ']');
}

static void write_guests(struct buffer *to, const struct trial *trials) {
    buffer_puts(to, ",\"guests\":[");
    for (size_t i = 0; i < LANGUAGES_N; i++) {
        buffer_puts(to, i == 0 ? "{" : ",{");
        write_text(to, "name", trials[i].kind->name);
        buffer_putc(to, ',');
        write_text(to, "version", trials[i].guest != NULL ? trials[i].guest->version : "");
        buffer_printf(to, ",\"ready\":%s}", trials[i].ready ? "true" : "false");
    }
    buffer_puts(to, "],");
}

static void write_report(struct buffer *to, capsule_runtime *rt) {
    struct trial trials[LANGUAGES_N];
    struct cache_usage usage = {0};
    struct utsname kernel = {0};
    for (size_t i = 0; i < LANGUAGES_N; i++)
        try_guest(rt, (enum language)i, &trials[i]);
    (void)cache_measure(rt->cache, &usage, NULL);
    (void)uname(&kernel);
    buffer_putc(to, '{');
    write_text(to, "version", capsule_version());
    write_guests(to, trials);
    write_text(to, "engine", engine_identity());
    buffer_puts(to, ",\"cache\":{");
    write_text(to, "path", cache_dir(rt->cache));
    buffer_printf(to, ",\"bytes\":%" PRIu64 ",\"objects\":%" PRIu64 ",\"writable\":%s},\"kernel\":{", usage.bytes,
                  usage.objects, cache_writable(rt->cache) ? "true" : "false");
    write_text(to, "release", kernel.release);
    buffer_printf(to, ",\"pagemap_scan\":%s,\"openat2\":%s}",
                  slot_scan_supported(engine_slots(rt->engine)) ? "true" : "false",
                  openat2_works() ? "true" : "false");
    write_checks(to, rt, trials);
}

int capsule_diagnose(capsule_runtime *runtime, char **ret_json, capsule_error *error) {
    struct buffer report = BUFFER_INIT(REPORT_MAX);
    write_report(&report, runtime);
    int r = buffer_putc(&report, '}');
    char *text = buffer_take(&report);
    if (r != 0 || text == NULL)
        return runtime_fail(error, ERROR_NOMEM, "no memory for the report");
    *ret_json = text;
    return 0;
}
