/* capsule.toml: what is read, and file, line and suggestion of every mistake. */
#include "unit.h"

#include "app/manifest.h"
#include "base/fault.h"
#include "scratch.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state) {
    *state = scratch_new();
    return 0;
}

static int drop(void **state) {
    scratch_free(*state);
    return 0;
}

static int read_text(const char *folder, const char *text, struct manifest *ret, struct error *err) {
    scratch_write(folder, "capsule.toml", text);
    return manifest_read(scratch_path(folder, "capsule.toml"), ret, err);
}

static void reads_everything(void **state) {
    struct manifest m = {0};
    struct error err = {0};
    int status =
        read_text(*state,
                  "# a comment\n[workflow]\nname = 'report'\nversion = \"1.0\"\nentrypoint = \"./src/app.py\"\n"
                  "[tasks]\ndefault_compute = \"LOW\"\ndefault_ram = '64MB'\ndefault_timeout = '30s'\n"
                  "default_max_retries = 3\ndefault_allowed_files = ['data', {path = 'in', mode = 'ro'}]\n"
                  "default_allowed_hosts = ['api.example.com']\ndefault_env_variables = ['KEY']\n"
                  "[limits]\nmax_compute = 1_000_000\nmax_ram = \"1GiB\"\nmax_timeout = '1h'\nmax_retries = 5\n"
                  "max_allowed_files = ['.']\nmax_allowed_hosts = []\nmax_env_variables = ['KEY']\n"
                  "[http]\nmax_response_size = '2MB'\nmax_header_size = 64_000\nmax_total_bytes = '1GiB'\n"
                  "max_concurrent_requests = 8\n"
                  "[secrets]\nOPENAI_KEY = {hosts = ['API.openai.com', '*.openai.com:8443', 'api.openai.com']}\n"
                  "[secrets.OTHER]\nhosts = ['127.0.0.1:8080']\n"
                  "[journal]\nkeep = '90d'\n"
                  "[python]\npaths = ['src', './lib/']\n[js]\npaths = ['../shared/', '/opt/js', 'lib']\n",
                  &m, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(status, 0);
    assert_string_equal(m.name, "report");
    assert_string_equal(m.version, "1.0");
    assert_string_equal(m.entrypoint, "src/app.py");
    assert_int_equal(m.defaults.fuel, POLICY_FUEL_LOW);
    assert_int_equal(m.defaults.ram, 64000000);
    assert_int_equal(m.defaults.retries, 3);
    assert_int_equal(m.defaults.n_files, 2);
    assert_false(m.defaults.files[1].writable);
    assert_int_equal(m.limits.fuel, 1000000);
    assert_int_equal(m.limits.retries, 5);
    assert_true(m.limits.has_hosts);
    assert_int_equal(m.limits.hosts.n, 0);
    assert_int_equal(m.http.max_response_size, 2000000);
    assert_int_equal(m.http.max_header_size, 64000);
    assert_int_equal(m.http.max_total_bytes, 1 << 30);
    assert_int_equal(m.http.max_concurrent_requests, 8);
    assert_int_equal(m.journal_keep, UINT64_C(90) * 24 * 3600 * 1000000000);
    assert_int_equal(m.n_secrets, 2);
    assert_string_equal(m.secrets[0].name, "OPENAI_KEY");
    assert_int_equal(m.secrets[0].hosts.n, 2);
    assert_string_equal(m.secrets[0].hosts.items[0], "api.openai.com");
    assert_string_equal(m.secrets[0].hosts.items[1], "*.openai.com:8443");
    assert_string_equal(m.secrets[1].name, "OTHER");
    assert_string_equal(m.secrets[1].hosts.items[0], "127.0.0.1:8080");
    assert_int_equal(m.python_paths.n, 2);
    assert_string_equal(m.python_paths.items[1], "lib");
    assert_int_equal(m.js_paths.n, 3);
    assert_string_equal(m.js_paths.items[0], "../shared");
    assert_string_equal(m.js_paths.items[1], "/opt/js");
    assert_non_null(m.path);
    manifest_done(&m);
    assert_null(m.path);
}

static void reads_other_spellings(void **state) {
    static const char *const texts[] = {
        "",
        "\n\n",
        "# only a comment",
        "[workflow]",
        "workflow = {name = 'x'}\n",
        "workflow.name = 'x'\n",
        "\xEF\xBB\xBF[workflow]\nname = 'x'\r\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct manifest m = {0};
        struct error err = {0};
        if (read_text(*state, texts[i], &m, &err))
            fail_msg("%s: %s", texts[i], err.message);
        manifest_done(&m);
    }
}

struct mistake {
    const char *text, *message, *hint;
};

static void check_mistakes(const char *dir, const struct mistake *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct manifest m = {0};
        struct error err = {0};
        int status = read_text(dir, rows[i].text, &m, &err);
        if (status != ERROR_PROJECT || err.code != ERROR_PROJECT)
            fail_msg("%s: %d", rows[i].text, status);
        assert_contains(err.message, rows[i].message);
        assert_contains(err.hint, rows[i].hint);
        assert_null(m.path);
    }
}

static void refuses_mistakes(void **state) {
    static const struct mistake rows[] = {
        {"[tasks]\n\n\n\n\n\ndefault_rma = '64MB'\n", "capsule.toml:7: unknown key \"default_rma\" in [tasks]",
         "did you mean \"default_ram\"?"},
        {"[task]\n", "capsule.toml:1: unknown table \"task\"", "did you mean \"tasks\"?"},
        {"\n[nonsense]\n", "capsule.toml:2: unknown table \"nonsense\"", ""},
        {"name = 'x'\n", "capsule.toml:1: unknown key \"name\"", "keys belong into a table"},
        {"[workflow]\nnam = 'x'\n", "capsule.toml:2: unknown key \"nam\" in [workflow]", "did you mean \"name\"?"},
        {"[limits]\nmax_rma = 1\n", "capsule.toml:2: unknown key \"max_rma\" in [limits]", "\"max_ram\""},
        {"[python]\npath = []\n", "unknown key \"path\" in [python]", "did you mean \"paths\"?"},
        {"[tasks]\ndefault_ram = 'lots'\n", "capsule.toml:2: [tasks] default_ram: 'lots' isn't a size", "64MB"},
        {"[tasks]\ndefault_timeout = '-1s'\n", "it's negative", ""},
        {"[tasks]\ndefault_timeout = 1979-05-27\n", "default_timeout", ""},
        {"[limits]\nmax_allowed_files = 'data'\n", "capsule.toml:2: [limits] max_allowed_files: expected a list",
         ""},
        {"[limits]\n[limits.max_ram]\nx = 1\n", "max_ram: expected a size", ""},
        {"[[tasks]]\n", "\"tasks\" is a table: write [tasks]", ""},
        {"tasks = 3\n", "\"tasks\" is a table: write [tasks]", ""},
        {"[workflow]\nname = 3\n", "[workflow] name: expected a string", ""},
        {"[workflow]\nname = ''\n", "[workflow] name: expected a string", ""},
        {"[workflow]\nentrypoint = '../x.py'\n", "entrypoint: expected a file below", ""},
        {"[workflow]\nentrypoint = '/x.py'\n", "entrypoint: expected a file below", ""},
        {"[workflow]\nentrypoint = '~/x.py'\n", "capsule.toml:2: [workflow] entrypoint: \"~/x.py\"", ""},
        {"[python]\npackages = ['x']\n", "packages aren't installed from here", "pip"},
        {"[js]\npackages = ['x']\n", "capsule.toml:2: [js] packages: packages aren't installed from here",
         "npm install"},
        {"[js]\npaths = {}\n", "paths: expected a list of folders", ""},
        {"[js]\npaths = ['~/x']\n", "expected a list of folders", ""},
        {"[js]\npath = []\n", "unknown key \"path\" in [js]", "did you mean \"paths\"?"},
        {"[python]\npaths = 'src'\n", "paths: expected a list of folders", ""},
        {"[python]\npaths = ['../src']\n", "must lie below", ""},
        {"[python]\npaths = [1]\n", "expected a list of folders", ""},
        {"[workflow]\nname = \n", "capsule.toml:2: ", ""},
        {"[workflow\n", "capsule.toml:1: ", ""},
        {"[workflow]\nname = 'a'\nname = 'b'\n", "capsule.toml:3: ", ""},
        {"[tasks]\ndefault_max_retries = inf\n", "capsule.toml:2: ", ""},
        {"[tasks]\n\"\\u001b[31m\" = 1\n", "unknown key \"?[31m\"", ""},
        {"[journal]\nkepp = '1d'\n", "unknown key \"kepp\" in [journal]", "did you mean \"keep\"?"},
        {"[journal]\nkeep = 30\n", "[journal] keep: expected a duration", ""},
        {"[journal]\nkeep = 'long'\n", "capsule.toml:2: [journal] keep: 'long' isn't a duration", ""},
        {"[journal]\nkeep = '0s'\n", "[journal] keep: it must be more than 0", ""},
        {"\xFF\xFE", "capsule.toml:1: the file is not valid UTF-8", ""},
    };
    check_mistakes(*state, rows, COUNT(rows));
}

static void refuses_mistakes_about_the_network(void **state) {
    static const struct mistake rows[] = {
        {"[http]\nmax_respone_size = 1\n", "capsule.toml:2: unknown key \"max_respone_size\" in [http]",
         "did you mean \"max_response_size\"?"},
        {"[http]\nmax_response_size = 'big'\n", "capsule.toml:2: [http] max_response_size: 'big' isn't a size",
         "64MB"},
        {"[http]\nmax_response_size = 0\n", "max_response_size: '0' isn't more than zero", ""},
        {"[http]\nmax_total_bytes = -1\n", "max_total_bytes: '-1'", ""},
        {"[http]\nmax_total_bytes = []\n", "max_total_bytes: expected a size", "64MB"},
        {"[http]\nmax_header_size = '1MB'\n", "max_header_size: it's more than the maximum, 300kB", ""},
        {"[http]\nmax_concurrent_requests = 0\n", "max_concurrent_requests: expected a whole number from 1", ""},
        {"[http]\nmax_concurrent_requests = 1025\n", "expected a whole number from 1 to 1024", ""},
        {"[http]\nmax_concurrent_requests = '8'\n", "expected a whole number from 1 to 1024", ""},
        {"http = 1\n", "\"http\" is a table: write [http]", ""},
        {"[secrets]\nA-B = {hosts = ['a.b']}\n",
         "capsule.toml:2: [secrets] \"A-B\" isn't the name of an environment variable", "letters, digits"},
        {"[secrets]\n\nKEY = 'sk-1'\n", "capsule.toml:3: [secrets] KEY: expected a table",
         "write KEY = { hosts = ["},
        {"[secrets]\nKEY = ['a.b']\n", "KEY: expected a table", "write KEY"},
        {"[secrets]\nKEY = {}\n", "capsule.toml:2: [secrets] KEY: it names no host", "write KEY"},
        {"[secrets]\nKEY = {hosts = []}\n", "KEY: it names no host", "write KEY"},
        {"[secrets]\nKEY = {host = ['a.b']}\n", "capsule.toml:2: unknown key \"host\" in [secrets.KEY]",
         "did you mean \"hosts\"?"},
        {"[secrets.KEY]\nhosts = ['a.b']\nvalue = 'sk-1'\n",
         "capsule.toml:3: unknown key \"value\" in [secrets.KEY]", ""},
        {"[secrets.KEY]\nhosts = 'a.b'\n", "capsule.toml:2: [secrets.KEY] hosts: expected a list of hosts",
         "write ["},
        {"[secrets.KEY]\nhosts = ['https://a.b']\n", "[secrets.KEY] hosts: \"https://a.b\" isn't a host", "://"},
        {"[secrets.KEY]\n[secrets.KEY.hosts]\nx = 1\n", "hosts: expected a list of hosts", ""},
        {"[secret]\n", "unknown table \"secret\"", "did you mean \"secrets\"?"},
    };
    check_mistakes(*state, rows, COUNT(rows));
}

static void refuses_what_is_no_small_file(void **state) {
    struct manifest m = {0};
    struct error err;
    assert_int_equal(manifest_read(scratch_path(*state, "none.toml"), &m, &err), ERROR_PROJECT);
    assert_contains(err.message, "No such file");
    assert_int_equal(manifest_read(*state, &m, &err), ERROR_PROJECT);
    assert_contains(err.message, "isn't a file");
    assert_int_equal(mkfifo(scratch_path(*state, "fifo"), 0600), 0);
    assert_int_equal(manifest_read(scratch_path(*state, "fifo"), &m, &err), ERROR_PROJECT);
    char *text = malloc(1 << 21);
    memset(text, '#', (1 << 21) - 1);
    text[(1 << 21) - 1] = '\0';
    assert_int_equal(read_text(*state, text, &m, &err), ERROR_PROJECT);
    assert_contains(err.message, "longer than 1 MiB");
    text[1 << 20] = '\0';
    assert_int_equal(read_text(*state, text, &m, &err), 0);
    manifest_done(&m);
    /* Deep nesting: the reader's own limit or ours. */
    char *p = text + sprintf(text, "[tasks]\ndefault_allowed_files = ");
    memset(p, '[', 5000);
    memset(p + 5000, ']', 5000);
    p[10000] = '\0';
    assert_int_equal(read_text(*state, text, &m, &err), ERROR_PROJECT);
    free(text);
}

static void refuses_too_many_secrets(void **state) {
    char text[4096];
    size_t n = (size_t)sprintf(text, "[secrets]\n");
    for (int i = 0; i < MANIFEST_SECRETS_MAX; i++)
        n += (size_t)sprintf(text + n, "K%d = {hosts = ['a.b']}\n", i);
    struct manifest m = {0};
    struct error err = {0};
    assert_int_equal(read_text(*state, text, &m, &err), 0);
    assert_int_equal(m.n_secrets, MANIFEST_SECRETS_MAX);
    manifest_done(&m);
    sprintf(text + n, "K = {hosts = ['a.b']}\n");
    assert_int_equal(read_text(*state, text, &m, &err), ERROR_PROJECT);
    assert_contains(err.message, "K: there are more than 64 secrets");
}

static void survives_failures(void **state) {
#ifdef CAPSULE_FAULTS
    scratch_write(*state, "capsule.toml",
                  "[workflow]\nname='a'\nentrypoint='b'\n[tasks]\ndefault_allowed_files=['a']\n"
                  "[secrets]\nK={hosts=['a.b']}\n");
    bool reached = true;
    unsigned long at = 0;
    while (reached) {
        struct manifest m = {0};
        struct error err = {0};
        fault_arm(++at);
        int status = manifest_read(scratch_path(*state, "capsule.toml"), &m, &err);
        reached = fault_visits() >= at;
        fault_arm(0);
        assert_int_equal(status < 0, reached);
        assert_int_equal(err.message[0] != '\0', reached);
        manifest_done(&m);
    }
    assert_true(at > 5);
#else
    (void)state;
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_everything, make, drop),
        cmocka_unit_test_setup_teardown(reads_other_spellings, make, drop),
        cmocka_unit_test_setup_teardown(refuses_mistakes, make, drop),
        cmocka_unit_test_setup_teardown(refuses_mistakes_about_the_network, make, drop),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_small_file, make, drop),
        cmocka_unit_test_setup_teardown(refuses_too_many_secrets, make, drop),
        cmocka_unit_test_setup_teardown(survives_failures, make, drop),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
