/* Fuzzes what decodes documents and messages: the first byte says which decoder gets the rest. Nothing may crash, leak or read beyond, and
 * what fails must say so in its error. */
#include "app/dependencies.h"
#include "app/manifest.h"
#include "app/policy.h"
#include "app/project.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/units.h"
#include "sandbox/operation.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(int condition) {
    if (!condition)
        abort();
}

/* What is read can be written, and reads the same again. */
static void fuzz_json(const char *text, size_t n) {
    CLEANUP(json_cleanup) struct json_document *document = NULL, *again = NULL;
    CLEANUP(buffer_done) struct buffer out = BUFFER_INIT(1 << 22);
    struct error err = {0};
    int r = json_parse(text, n, &document, &err);
    expect((r == 0) == json_valid(text, n));
    if (r != 0) {
        expect(err.message[0] != '\0');
        return;
    }
    expect(json_write(json_root(document), &out) == 0);
    expect(json_parse(buffer_text(&out), out.size, &again, NULL) == 0);
}

static void fuzz_options(const char *text, size_t n) {
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(text, n, &document, NULL) != 0)
        return;
    static const enum option_place places[] = {OPTIONS_DECORATOR, OPTIONS_DEFAULTS, OPTIONS_LIMITS};
    struct task_options options[3] = {0};
    struct error err = {0};
    for (size_t place = 0; place < 3; place++) {
        size_t cursor = 0;
        const char *key;
        for (const json_value *v; (v = json_next(json_root(document), &cursor, &key)) != NULL;)
            expect(task_options_set(&options[place], places[place], key, v, &err) == 0 || err.message[0] != '\0');
    }
    struct policy policy = {0};
    if (policy_resolve("name", "main.py:1", &options[0], &options[1], &options[2], &policy, &err) == 0)
        expect(policy.ram <= POLICY_RAM_MAX && policy.fuel > 0);
    policy_done(&policy);
    for (size_t place = 0; place < 3; place++)
        task_options_done(&options[place]);
}

static void fuzz_units(const char *text, size_t n) {
    CLEANUP(cleanup_free) char *copy = strndup(text, n);
    struct error err = {0};
    uint64_t value;
    expect(units_size(copy, &value, &err) == 0 || err.message[0] != '\0');
    expect(units_duration(copy, &value, &err) == 0 || err.message[0] != '\0');
    expect(parse_compute(copy, &value, &err) == 0 || err.message[0] != '\0');
}

static void fuzz_manifest(const char *text, size_t n) {
    char path[64];
    CLEANUP(cleanup_close) int fd = memfd_create("capsule.toml", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    expect(write(fd, text, n) == (ssize_t)n);
    struct manifest manifest = {0};
    struct error err = {0};
    if (manifest_read(path, &manifest, &err) == 0)
        manifest_done(&manifest);
    else
        expect(err.message[0] != '\0');
}

static char folder[] = "/tmp/capsule-fuzz-XXXXXX"; /* for .env; empty between two inputs */

static void clean_up(void) {
    rmdir(folder);
}

static void fuzz_dotenv(const char *text, size_t n) {
    static int folder_fd = -1;
    if (folder_fd < 0) {
        expect(mkdtemp(folder) != NULL);
        atexit(clean_up);
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    }
    CLEANUP(cleanup_close) int fd = openat(folder_fd, ".env", O_CREAT | O_TRUNC | O_WRONLY, 0600);
    expect(write(fd, text, n) == (ssize_t)n);
    struct project project = {.root = folder, .root_fd = folder_fd};
    struct dotenv *dotenv = NULL;
    struct error err = {0};
    if (dotenv_read(&project, &dotenv, &err) == 0)
        (void)dotenv_get(dotenv, "NAME");
    else
        expect(err.message[0] != '\0');
    dotenv_free(dotenv);
    unlinkat(folder_fd, ".env", 0);
}

static void fuzz_message(const char *text, size_t n) {
    const char *header, *body;
    size_t header_n, body_n;
    if (message_split(text, n, &header, &header_n, &body, &body_n))
        expect(header >= text && header + header_n == body && body + body_n == text + n);
}

static void fuzz_dependencies(const char *text, size_t n) {
    CLEANUP(json_cleanup) struct json_document *document = NULL;
    if (json_parse(text, n, &document, NULL) != 0)
        return;
    bool touched = false;
    (void)dependencies_unchanged(json_root(document), &touched);
    struct dependencies *d = dependencies_new();
    (void)dependencies_read(d, json_root(document));
    dependencies_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static void (*const decoders[])(const char *, size_t) = {
        fuzz_json, fuzz_options, fuzz_units, fuzz_manifest, fuzz_dotenv, fuzz_message, fuzz_dependencies,
    };
    if (n > 0) /* the sanitizer sees a step beyond the end: the input is a block of its own size */
        decoders[data[0] % (sizeof decoders / sizeof decoders[0])]((const char *)data + 1, n - 1);
    return 0;
}
