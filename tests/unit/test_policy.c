/* Options, grants and policies: the grammar, the caps, and the messages of every refusal. */
#include "unit.h"

#include "app/grants.h"
#include "app/policy.h"
#include "base/buffer.h"
#include "base/fault.h"
#include <stdlib.h>

/* Sets one option; text is the JSON of its value. */
static int set(struct task_options *o, enum option_place place, const char *key, const char *text,
               struct error *err) {
    struct json_document *d = NULL;
    assert_int_equal(json_parse(text, strlen(text), &d, NULL), 0);
    int status = task_options_set(o, place, key, json_root(d), err);
    json_free(d);
    return status;
}

static void must_set(struct task_options *o, enum option_place place, const char *key, const char *text) {
    struct error err = {0};
    if (set(o, place, key, text, &err))
        fail_msg("%s = %s: %s", key, text, err.message);
}

static void reads_numbers(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        uint64_t expected;
    } rows[] = {
        {"compute", "\"LOW\"", POLICY_FUEL_LOW},
        {"compute", "\"medium\"", POLICY_FUEL_MEDIUM},
        {"compute", "\"High\"", POLICY_FUEL_MAX},
        {"compute", "\"1000000\"", 1000000},
        {"compute", "7", 7},
        {"compute", "9223372036854775807", POLICY_FUEL_MAX},
        {"ram", "\"64MB\"", 64000000},
        {"ram", "\"4GiB\"", POLICY_RAM_MAX},
        {"ram", "65536", 65536},
        {"ram", "\"1.5gb\"", 1500000000},
        {"timeout", "\"500ms\"", 500000000},
        {"timeout", "\"365d\"", POLICY_TIMEOUT_MAX_NS},
        {"max_retries", "0", 0},
        {"maxRetries", "1000", 1000},
        {"idempotent", "true", 1},
        {"idempotent", "false", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct task_options o = {0};
        must_set(&o, OPTIONS_DECORATOR, rows[i].key, rows[i].value);
        uint64_t found = o.has_compute   ? o.fuel
                         : o.has_ram     ? o.ram
                         : o.has_timeout ? o.timeout_ns
                         : o.has_retries ? o.retries
                                         : o.has_idempotent && o.idempotent;
        assert_int_equal(found, rows[i].expected);
        task_options_done(&o);
    }
}

static const struct {
    const char *key, *value, *message, *hint;
} refused_values[] = {
    {"ram", "\"lots\"", "ram: 'lots' isn't a size", "64MB"},
    {"ram", "\"-1MB\"", "ram: '-1MB' isn't a size: it's negative", ""},
    {"ram", "-5", "it's negative", ""},
    {"ram", "0", "isn't more than zero", ""},
    {"ram", "\"0MB\"", "isn't more than zero", ""},
    {"ram", "\"8GB\"", "more than a sandbox can have", ""},
    {"ram", "1e400", "isn't a size", ""},
    {"ram", "99999999999999999999999", "too large", ""},
    {"ram", "true", "expected a size", "64MB"},
    {"ram", "[]", "expected a size", ""},
    {"ram", "\"1\\u0000MB\"", "expected a size", ""},
    {"timeout", "\"-1s\"", "timeout: '-1s' isn't a duration: it's negative", "30s"},
    {"timeout", "\"0s\"", "isn't more than zero", ""},
    {"timeout", "\"366d\"", "more than the maximum, 365 days", ""},
    {"timeout", "30", "with a unit", "30s"},
    {"timeout", "\"30\"", "unit is missing", "30s"},
    {"compute", "\"CUSTOM\"", "'CUSTOM' isn't a compute level", "exact amount of fuel"},
    {"compute", "\"MEDUIM\"", "isn't a compute level", "did you mean \"MEDIUM\"?"},
    {"compute", "\"0\"", "isn't more than zero", ""},
    {"compute", "-1", "isn't a compute level", ""},
    {"compute", "1.5", "isn't a compute level", ""},
    {"compute", "9223372036854775808", "more than the maximum", ""},
    {"compute", "99999999999999999999999999", "more than the maximum", ""},
    {"compute", "{}", "expected a level", ""},
    {"max_retries", "-1", "max_retries: expected a whole number from 0 to 1000", ""},
    {"max_retries", "1001", "expected a whole number", ""},
    {"max_retries", "1.0", "expected a whole number", ""},
    {"maxRetries", "\"3\"", "maxRetries: expected a whole number", ""},
    {"idempotent", "1", "idempotent: expected true or false", ""},
    {"idempotent", "0", "expected true or false", ""},
    {"idempotent", "\"false\"", "expected true or false", "without quotes"},
    {"idempotent", "[]", "expected true or false", ""},
    {"allowed_files", "\"./data\"", "expected a list of paths", "[\"./data\"]"},
    {"allowed_files", "[1]", "neither a path nor an object", ""},
    {"allowed_files", "[\"\"]", "a path is empty", ""},
    {"allowed_files", "[\"a\\u0000b\"]", "neither a path nor an object", ""},
    {"allowed_files", "[\"~/x\"]", "\"~\" isn't expanded", ""},
    {"allowed_files", "[{}]", "has no \"path\"", ""},
    {"allowed_files", "[{\"path\":1}]", "has no \"path\"", ""},
    {"allowed_files", "[{\"path\":\"a\",\"mode\":\"read-only\"}]", "not \"read-only\"", "did you mean \"ro\"?"},
    {"allowed_files", "[{\"path\":\"a\",\"mode\":\"read-write\"}]", "not \"read-write\"", "did you mean \"rw\"?"},
    {"allowed_files", "[{\"path\":\"a\",\"mode\":null}]", "\"mode\" is", ""},
    {"allowed_files", "[{\"path\":\"a\",\"mod\":\"ro\"}]", "unknown key \"mod\"", "did you mean \"mode\"?"},
    {"allowed_files", "[{\"path\":\"a\",\"x\":1}]", "unknown key \"x\"", "\"path\" and \"mode\""},
    {"allowed_files", "[\"a\", {\"path\":\"./a/\",\"mode\":\"ro\"}]", "listed twice", ""},
    {"allowed_hosts", "\"a.com\"", "expected a list of hosts", ""},
    {"allowed_hosts", "[7]", "a host isn't a string", ""},
    {"env_variables", "{\"A\":1}", "expected a list of names", ""},
    {"env_variables", "[\"A=1\"]", "isn't the name", "names only"},
    {"env_variables", "[\"1A\"]", "isn't the name", "don't begin with a digit"},
    {"env_variables", "[\"\"]", "isn't the name", ""},
    {"env_variables", "[\"Ä\"]", "isn't the name", ""},
};

static void refuses_values(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(refused_values); i++) {
        struct task_options o = {0}, untouched = {0};
        struct error err = {0};
        int status = set(&o, OPTIONS_DECORATOR, refused_values[i].key, refused_values[i].value, &err);
        assert_int_equal(status, ERROR_INVALID);
        assert_contains(err.message, refused_values[i].message);
        assert_contains(err.hint, refused_values[i].hint);
        assert_memory_equal(err.message, refused_values[i].key, strlen(refused_values[i].key));
        assert_memory_equal(&o, &untouched, sizeof o);
    }
}

static void knows_its_keys(void **state) {
    (void)state;
    static const struct {
        enum option_place place;
        const char *key, *hint; /* hint NULL: known */
    } rows[] = {
        {OPTIONS_DECORATOR, "allowedFiles", NULL},
        {OPTIONS_DECORATOR, "allowed_hosts", NULL},
        {OPTIONS_DECORATOR, "envVariables", NULL},
        {OPTIONS_DEFAULTS, "default_allowed_files", NULL},
        {OPTIONS_LIMITS, "max_env_variables", NULL},
        {OPTIONS_DECORATOR, "alowed_files", "did you mean \"allowed_files\"?"},
        {OPTIONS_DECORATOR, "maxretries", "did you mean \"maxRetries\"?"},
        {OPTIONS_DECORATOR, "colour", ""},
        {OPTIONS_DEFAULTS, "default_rma", "did you mean \"default_ram\"?"},
        {OPTIONS_DEFAULTS, "ram", ""},
        {OPTIONS_DEFAULTS, "idempotent", ""},
        {OPTIONS_DEFAULTS, "default_idempotant", "did you mean \"default_idempotent\"?"},
        {OPTIONS_LIMITS, "max_idempotent", ""},
        {OPTIONS_LIMITS, "max_rma", "did you mean \"max_ram\"?"},
        {OPTIONS_LIMITS, "default_ram", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct task_options o = {0};
        struct error err = {0};
        int status = set(&o, rows[i].place, rows[i].key, "[]", &err);
        assert_int_equal(status, rows[i].hint ? ERROR_NOT_FOUND : 0);
        if (rows[i].hint) {
            assert_contains(err.message, "unknown option");
            assert_contains(err.hint, rows[i].hint);
        }
        task_options_done(&o);
    }
}

static void takes_each_option_once(void **state) {
    (void)state;
    struct task_options o = {0};
    struct error err;
    must_set(&o, OPTIONS_DECORATOR, "max_retries", "2");
    assert_int_equal(set(&o, OPTIONS_DECORATOR, "maxRetries", "3", &err), ERROR_INVALID);
    assert_string_equal(err.message, "max_retries is given twice");
    assert_int_equal(o.retries, 2);
    must_set(&o, OPTIONS_DECORATOR, "allowedFiles", "[\"a\"]");
    assert_int_equal(set(&o, OPTIONS_DECORATOR, "allowed_files", "[]", &err), ERROR_INVALID);
    assert_int_equal(o.n_files, 1);
    must_set(&o, OPTIONS_DECORATOR, "ram", "null");
    assert_false(o.has_ram);
    must_set(&o, OPTIONS_DECORATOR, "ram", "1");
    task_options_done(&o);
    struct task_options limits = {0};
    must_set(&limits, OPTIONS_LIMITS, "max_retries", "2");
    assert_int_equal(set(&limits, OPTIONS_LIMITS, "max_max_retries", "3", &err), ERROR_INVALID);
    must_set(&limits, OPTIONS_LIMITS, "max_ram", "\"16GB\"");
    assert_int_equal(limits.ram, POLICY_RAM_MAX);
    task_options_done(&limits);
}

static void cleans_paths(void **state) {
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"./data", "data"},
        {"data/", "data"},
        {"a//b/./c", "a/b/c"},
        {".", "."},
        {"./", "."},
        {"a/..", "."},
        {"a/../b", "b"},
        {"..", ".."},
        {"../", ".."},
        {"../x", "../x"},
        {"a/../../x", "../x"},
        {"../a/../..", "../.."},
        {"../../x/../y", "../../y"},
        {"/abs//x/..", "/abs"},
        {"/..", "/"},
        {"..x", "..x"},
        {".env", ".env"},
        {"~x", "~x"},
        {"a b/ü", "a b/ü"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *path = NULL;
        assert_int_equal(grant_path_clean(rows[i].text, &path, NULL), 0);
        assert_string_equal(path, rows[i].expected);
        free(path);
    }
    static char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    char *path = NULL;
    struct error err;
    assert_int_equal(grant_path_clean(long_text, &path, &err), ERROR_INVALID);
    assert_contains(err.message, "longer than 4096");
    for (size_t i = 0; i + 3 < sizeof long_text; i += 3)
        memcpy(long_text + i, "../", 3);
    long_text[sizeof long_text - 2] = '\0';
    assert_int_equal(grant_path_clean(long_text, &path, &err), ERROR_INVALID);
    for (size_t i = 0; i + 5 < sizeof long_text; i += 5)
        memcpy(long_text + i, "ab/..", 5);
    assert_int_equal(grant_path_clean(long_text, &path, &err), ERROR_INVALID);
    assert_null(path);
}

static void compares_paths(void **state) {
    (void)state;
    static const struct {
        const char *folder, *path;
        bool includes;
    } rows[] = {
        {"data", "data", true},
        {"data", "data/x", true},
        {"data", "database", false},
        {"data/x", "data", false},
        {".", "data", true},
        {".", ".", true},
        {".", "../x", false},
        {".", "..", false},
        {"..", "../x", true},
        {"..", "x", true},
        {"..", ".", true},
        {"..", "../..", false},
        {"../x", "../x/y", true},
        {"../x", "x", false},
        {"../x", "../y", false},
        {"../..", "../x", true},
        {"x", "../x", false},
        {"/", "/etc", true},
        {"/etc", "/etc/passwd", true},
        {"/etc", "/etcetera", false},
        {"/", "x", false},
        {".", "/", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (grant_path_includes(rows[i].folder, rows[i].path) != rows[i].includes)
            fail_msg("%s includes %s", rows[i].folder, rows[i].path);
    assert_true(grant_path_is_outside("/x") && grant_path_is_outside("..") && grant_path_is_outside("../x"));
    assert_false(grant_path_is_outside(".") || grant_path_is_outside("x") || grant_path_is_outside("..x"));
}

static const struct {
    const char *text, *expected; /* NULL: refused */
} hosts[] = {
    {"api.example.com", "api.example.com"},
    {"API.Example.COM", "api.example.com"},
    {"*.example.com", "*.example.com"},
    {"*.example.com:8443", "*.example.com:8443"},
    {"localhost", "localhost"},
    {"localhost:65535", "localhost:65535"},
    {"my_host-1", "my_host-1"},
    {"127.0.0.1:8080", "127.0.0.1:8080"},
    {"[::1]:8080", "[::1]:8080"},
    {"[0:0:0:0:0:0:0:1]", "[::1]"},
    {"[FE80::1]", "[fe80::1]"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"", NULL},
    {"*", NULL},
    {"*.", NULL},
    {"*example.com", NULL},
    {"a.*.com", NULL},
    {"*.*.com", NULL},
    {"*.10.0.0.1", NULL},
    {"https://api.example.com", NULL},
    {"api.example.com/v1", NULL},
    {"user@example.com", NULL},
    {"example.com:", NULL},
    {"example.com:0", NULL},
    {"example.com:080", NULL},
    {"example.com:65536", NULL},
    {"example.com:http", NULL},
    {"example.com:-1", NULL},
    {"example.com:80:80", NULL},
    {".example.com", NULL},
    {"example.com.", NULL},
    {"exa..mple.com", NULL},
    {"-x.com", NULL},
    {"x-.com", NULL},
    {"exa mple.com", NULL},
    {"bücher.example", NULL},
    {"127.1", NULL},
    {"0x7f.0.0.1", NULL},
    {"256.1.1.1", NULL},
    {"1.2.3.4.5", NULL},
    {"2130706433", NULL},
    {"::1", NULL},
    {"[::1", NULL},
    {"[]", NULL},
    {"[::1]x", NULL},
    {"[::1]:0", NULL},
    {"[127.0.0.1]", NULL},
    {"[fe80::1%eth0]", NULL},
};

static void cleans_hosts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        char host[HOST_TEXT_MAX] = "untouched";
        struct error err = {0};
        bool refused = !hosts[i].expected;
        int status = grant_host_clean(hosts[i].text, host, &err);
        if (status != (refused ? ERROR_INVALID : 0))
            fail_msg("%s", hosts[i].text);
        if (refused)
            assert_true(err.hint[0]);
        assert_string_equal(host, refused ? "untouched" : hosts[i].expected);
    }
    char label[70] = "", host[HOST_TEXT_MAX], name[400] = "";
    memset(label, 'a', 63);
    assert_int_equal(grant_host_clean(label, host, NULL), 0);
    label[63] = 'a';
    assert_int_equal(grant_host_clean(label, host, NULL), ERROR_INVALID);
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_int_equal(grant_host_clean(name, host, NULL), 0);
    name[253] = '.';
    name[254] = 'a';
    assert_int_equal(grant_host_clean(name, host, NULL), ERROR_INVALID);
}

static void compares_hosts(void **state) {
    (void)state;
    static const struct {
        const char *limit, *host;
        bool includes;
    } rows[] = {
        {"a.com", "a.com", true},         {"a.com", "b.a.com", false},       {"*.a.com", "b.a.com", true},
        {"*.a.com", "c.b.a.com", true},   {"*.a.com", "*.b.a.com", true},    {"*.a.com", "*.a.com", true},
        {"*.a.com", "a.com", false},      {"*.a.com", "xa.com", false},      {"b.a.com", "*.a.com", false},
        {"*.b.a.com", "*.a.com", false},  {"a.com", "a.com:80", false},      {"a.com:80", "a.com", false},
        {"a.com:80", "a.com:80", true},   {"a.com:80", "a.com:8080", false}, {"*.a.com:80", "b.a.com:80", true},
        {"*.a.com", "b.a.com:80", false}, {"[::1]:80", "[::1]:80", true},    {"[::1]", "[::1]:80", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (grant_host_includes(rows[i].limit, rows[i].host) != rows[i].includes)
            fail_msg("%s includes %s", rows[i].limit, rows[i].host);
}

static void limits_lists(void **state) {
    (void)state;
    struct buffer text = BUFFER_INIT(100000);
    struct task_options o = {0};
    struct error err;
    buffer_putc(&text, '[');
    for (int i = 0; i < POLICY_LIST_MAX + 1; i++)
        buffer_printf(&text, "%s\"f%d\"", i ? "," : "", i);
    buffer_putc(&text, ']');
    assert_int_equal(set(&o, OPTIONS_DECORATOR, "allowed_files", text.data, &err), ERROR_INVALID);
    assert_contains(err.message, "more than 64 items");
    assert_int_equal(set(&o, OPTIONS_DECORATOR, "env_variables", text.data, &err), ERROR_INVALID);
    assert_int_equal(set(&o, OPTIONS_DECORATOR, "allowed_hosts", text.data, &err), ERROR_INVALID);
    buffer_done(&text);
    must_set(&o, OPTIONS_DECORATOR, "env_variables", "[\"A\",\"B\",\"A\"]");
    must_set(&o, OPTIONS_DECORATOR, "allowed_hosts", "[\"a.com\",\"A.com\"]");
    must_set(&o, OPTIONS_DECORATOR, "allowed_files", "[\"a\",\"./a\"]");
    assert_int_equal(o.env.n, 2);
    assert_int_equal(o.hosts.n, 1);
    assert_int_equal(o.n_files, 1);
    task_options_done(&o);
}

/* One resolution: each text is a JSON object of options or NULL. */
struct world {
    struct task_options decorator, defaults, limits;
    struct policy policy;
    struct error err;
    int status;
};

static void set_all(struct task_options *o, enum option_place place, const char *text) {
    struct json_document *d = NULL;
    if (!text)
        return;
    assert_int_equal(json_parse(text, strlen(text), &d, NULL), 0);
    size_t cursor = 0;
    const char *key;
    const json_value *v;
    while ((v = json_next(json_root(d), &cursor, &key))) {
        struct error err;
        if (task_options_set(o, place, key, v, &err))
            fail_msg("%s", err.message);
    }
    json_free(d);
}

static void resolve(struct world *w, const char *decorator, const char *defaults, const char *limits) {
    *w = (struct world){0};
    set_all(&w->decorator, OPTIONS_DECORATOR, decorator);
    set_all(&w->defaults, OPTIONS_DEFAULTS, defaults);
    set_all(&w->limits, OPTIONS_LIMITS, limits);
    w->status =
        policy_resolve("report", "main.py:12", &w->decorator, &w->defaults, &w->limits, &w->policy, &w->err);
}

static void done(struct world *w) {
    task_options_done(&w->decorator);
    task_options_done(&w->defaults);
    task_options_done(&w->limits);
    policy_done(&w->policy);
}

static void resolves_numbers(void **state) {
    (void)state;
    struct world w;
    resolve(&w, NULL, NULL, NULL);
    assert_int_equal(w.status, 0);
    assert_string_equal(w.policy.name, "report");
    assert_int_equal(w.policy.fuel, POLICY_FUEL_MEDIUM);
    assert_int_equal(w.policy.ram, POLICY_RAM_DEFAULT);
    assert_int_equal(w.policy.timeout_ns, 0);
    assert_int_equal(w.policy.max_retries, 1);
    assert_true(w.policy.idempotent);
    assert_false(w.policy.hosts_listed);
    done(&w);
    resolve(&w, "{\"ram\":\"1MB\",\"idempotent\":false}",
            "{\"default_ram\":\"2MB\",\"default_compute\":\"LOW\",\"default_timeout\":\"3s\",\"default_max_"
            "retries\":5}",
            NULL);
    assert_int_equal(w.policy.ram, 1000000);
    assert_int_equal(w.policy.fuel, POLICY_FUEL_LOW);
    assert_int_equal(w.policy.timeout_ns, UINT64_C(3000000000));
    assert_int_equal(w.policy.max_retries, 5);
    assert_false(w.policy.idempotent);
    done(&w);
    resolve(&w, "{\"ram\":\"9MB\",\"compute\":\"HIGH\",\"timeout\":\"9s\",\"max_retries\":9}", NULL,
            "{\"max_ram\":\"2MB\",\"max_compute\":5,\"max_timeout\":\"3s\",\"max_retries\":2}");
    assert_int_equal(w.policy.ram, 2000000);
    assert_int_equal(w.policy.fuel, 5);
    assert_int_equal(w.policy.timeout_ns, UINT64_C(3000000000));
    assert_int_equal(w.policy.max_retries, 2);
    done(&w);
    /* Limits hold for defaults and for built-in values too: no timeout is the longest one. */
    resolve(&w, NULL, NULL, "{\"max_ram\":\"2MB\",\"max_timeout\":\"3s\",\"max_retries\":0}");
    assert_int_equal(w.policy.ram, 2000000);
    assert_int_equal(w.policy.timeout_ns, UINT64_C(3000000000));
    assert_int_equal(w.policy.max_retries, 0);
    done(&w);
}

static void resolves_idempotence(void **state) {
    (void)state;
    static const struct {
        const char *decorator, *defaults;
        bool expected;
    } rows[] = {
        {NULL, NULL, true},
        {"{\"idempotent\":false}", NULL, false},
        {"{\"idempotent\":null}", NULL, true},
        {NULL, "{\"default_idempotent\":false}", false},
        {"{\"idempotent\":true}", "{\"default_idempotent\":false}", true},
        {"{\"idempotent\":false}", "{\"default_idempotent\":true}", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world w;
        resolve(&w, rows[i].decorator, rows[i].defaults, NULL);
        assert_int_equal(w.status, 0);
        assert_int_equal(w.policy.idempotent, rows[i].expected);
        done(&w);
    }
}

static void resolves_files(void **state) {
    (void)state;
    static const struct {
        const char *decorator, *defaults, *limits;
        const char *expected; /* "path:mode …", or the refusal's text */
        bool refused;
    } rows[] = {
        {NULL, NULL, NULL, "", false},
        {"[\"data\"]", NULL, NULL, "data:rw", false},
        {"[{\"path\":\"data\",\"mode\":\"ro\"}, \".\"]", NULL, NULL, "data:ro .:rw", false},
        {NULL, "[\"data\"]", NULL, "data:rw", false},
        {"[]", "[\"data\"]", NULL, "", false},
        {"[\"../x\"]", NULL, NULL, "\"../x\", which is outside the project", true},
        {"[\"/etc/passwd\"]", NULL, NULL, "\"/etc/passwd\", which is outside", true},
        {"[\"../x/y\"]", "[\"../x\"]", NULL, "../x/y:rw", false},
        {"[\"../x/y\"]", "[{\"path\":\"../x\",\"mode\":\"ro\"}]", NULL, "../x/y:ro", false},
        {NULL, "[\"/srv\"]", NULL, "/srv:rw", false},
        {"[\"/srv/a\"]", NULL, "[\"/srv\"]", "/srv/a:rw", false},
        {"[\"data/x\"]", NULL, "[\"data\"]", "data/x:rw", false},
        {"[\"data\"]", NULL, "[{\"path\":\"data\",\"mode\":\"ro\"}]", "data:ro", false},
        {"[\"secret\"]", NULL, "[\"data\"]", "may not use the file \"secret\": max_allowed_files in [limits]",
         true},
        {"[\".\"]", NULL, "[\"data\"]", "may not use the file \".\"", true},
        {"[\"data\"]", NULL, "[]", "may not use the file \"data\"", true},
        {NULL, "[\"data\"]", "[]", "may not use the file \"data\"", true},
        {"[\"out/x\"]", NULL, "[{\"path\":\".\",\"mode\":\"ro\"},\"out\"]", "out/x:rw", false},
        {"[\"src\"]", NULL, "[{\"path\":\".\",\"mode\":\"ro\"},\"out\"]", "src:ro", false},
        {"[\"out/x\"]", NULL, "[\"out\",{\"path\":\".\",\"mode\":\"ro\"}]", "out/x:rw", false},
        /* Read-only below isn't undone through the folder above it. */
        {"[\".\"]", NULL, "[\".\",{\"path\":\"keys\",\"mode\":\"ro\"}]", ".:ro", false},
        {"[\"keys/a\"]", NULL, "[\".\",{\"path\":\"keys\",\"mode\":\"ro\"}]", "keys/a:ro", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char decorator[300], defaults[300], limits[300], found[300] = "";
        snprintf(decorator, sizeof decorator, "{\"allowed_files\":%s}",
                 rows[i].decorator ? rows[i].decorator : "null");
        snprintf(defaults, sizeof defaults, "{\"default_allowed_files\":%s}", rows[i].defaults);
        snprintf(limits, sizeof limits, "{\"max_allowed_files\":%s}", rows[i].limits);
        struct world w;
        resolve(&w, decorator, rows[i].defaults ? defaults : NULL, rows[i].limits ? limits : NULL);
        assert_int_equal(w.status, rows[i].refused ? ERROR_PROJECT : 0);
        for (size_t j = 0; j < w.policy.n_files; j++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s:%s", j ? " " : "",
                     w.policy.files[j].host, w.policy.files[j].writable ? "rw" : "ro");
        if (rows[i].refused) {
            assert_contains(w.err.message, "main.py:12: task \"report\"");
            assert_contains(w.err.message, rows[i].expected);
            assert_true(w.err.hint[0]);
            assert_null(w.policy.name);
        } else {
            assert_string_equal(found, rows[i].expected);
        }
        done(&w);
    }
}

static void tells_how_to_allow(void **state) {
    (void)state;
    struct world w;
    resolve(&w, "{\"allowed_files\":[\"../x\"]}", NULL, NULL);
    assert_contains(w.err.hint, "capsule.toml");
    assert_contains(w.err.hint, "--mount ../x");
    done(&w);
    resolve(&w, NULL, "{\"default_env_variables\":[\"KEY\"]}", "{\"max_env_variables\":[]}");
    assert_contains(w.err.message, "environment variable \"KEY\": max_env_variables in [limits] of capsule.toml");
    assert_contains(w.err.hint, "take it out of default_env_variables");
    done(&w);
}

static void resolves_hosts_and_variables(void **state) {
    (void)state;
    struct world w;
    resolve(&w, "{\"allowed_hosts\":[\"a.x.com\"],\"env_variables\":[\"A\"]}",
            "{\"default_env_variables\":[\"B\"]}",
            "{\"max_allowed_hosts\":[\"*.x.com\"],\"max_env_variables\":[\"A\",\"B\"]}");
    assert_int_equal(w.status, 0);
    assert_true(w.policy.hosts_listed);
    assert_false(w.policy.hosts_public_only);
    assert_string_equal(w.policy.hosts.items[0], "a.x.com");
    assert_int_equal(w.policy.env.n, 1);
    assert_string_equal(w.policy.env.items[0], "A");
    done(&w);
    resolve(&w, "{\"allowed_hosts\":[\"a.y.com\"]}", NULL, "{\"max_allowed_hosts\":[\"*.x.com\"]}");
    assert_int_equal(w.status, ERROR_PROJECT);
    assert_contains(w.err.message, "may not use the host \"a.y.com\": max_allowed_hosts");
    done(&w);
    resolve(&w, "{\"allowed_hosts\":[]}", NULL, NULL);
    assert_true(w.policy.hosts_listed);
    assert_int_equal(w.policy.hosts.n, 0);
    done(&w);
    /* Nothing listed: what limits list, as far as it's public. */
    resolve(&w, NULL, NULL, "{\"max_allowed_hosts\":[\"a.com\",\"10.0.0.1:80\"]}");
    assert_int_equal(w.status, 0);
    assert_true(w.policy.hosts_listed && w.policy.hosts_public_only);
    assert_int_equal(w.policy.hosts.n, 2);
    done(&w);
}

static void checks_names(void **state) {
    (void)state;
    static char long_name[POLICY_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    const char *const bad[] = {"", "a\nb", "\x1b[2J", "\xFF", long_name};
    const struct task_options none = {0};
    struct error err;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct policy p = {0};
        assert_int_equal(policy_resolve(bad[i], "main.py:1", &none, &none, &none, &p, &err), ERROR_PROJECT);
        assert_contains(err.message, "main.py:1: ");
        assert_null(strpbrk(err.message, "\n\x1b"));
    }
    struct policy p = {0};
    assert_int_equal(policy_resolve("résumé 1", "", &none, &none, &none, &p, &err), 0);
    policy_done(&p);
}

static void survives_lack_of_memory(void **state) {
    (void)state;
#ifdef CAPSULE_FAULTS
    struct json_document *files = NULL, *names = NULL;
    assert_int_equal(json_parse("[\"a\",\"b\"]", 9, &files, NULL), 0);
    assert_int_equal(json_parse("[\"A\",\"B\"]", 9, &names, NULL), 0);
    bool reached = true;
    unsigned long at = 0;
    while (reached) {
        struct task_options o = {0}, none = {0};
        struct policy p = {0};
        struct error err;
        fault_arm(++at);
        int status = task_options_set(&o, OPTIONS_DECORATOR, "allowed_files", json_root(files), &err);
        if (status == 0)
            status = task_options_set(&o, OPTIONS_DECORATOR, "env_variables", json_root(names), &err);
        if (status == 0)
            status = policy_resolve("t", "x", &o, &none, &none, &p, &err);
        reached = fault_visits() >= at;
        fault_arm(0);
        assert_int_equal(status, reached ? ERROR_NOMEM : 0);
        task_options_done(&o);
        policy_done(&p);
    }
    assert_true(at > 5);
    json_free(files);
    json_free(names);
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers),        cmocka_unit_test(refuses_values),
        cmocka_unit_test(knows_its_keys),       cmocka_unit_test(takes_each_option_once),
        cmocka_unit_test(cleans_paths),         cmocka_unit_test(compares_paths),
        cmocka_unit_test(cleans_hosts),         cmocka_unit_test(compares_hosts),
        cmocka_unit_test(limits_lists),         cmocka_unit_test(resolves_numbers),
        cmocka_unit_test(resolves_idempotence), cmocka_unit_test(resolves_files),
        cmocka_unit_test(tells_how_to_allow),   cmocka_unit_test(resolves_hosts_and_variables),
        cmocka_unit_test(checks_names),         cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
