/* What a task may use: parsed task options, defaults, limits and the policy that results.
 *
 * Options come from three places with the same grammar (docs/reference/options.md): the decorator (JSON written by
 * the guest while the image is built: hostile), capsule.toml [tasks] and capsule.toml [limits]. A policy is fixed before
 * the task first runs; nothing a sandbox does later can change it. */
#ifndef APP_POLICY_H
#define APP_POLICY_H

#include "base/error.h"
#include "base/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_FUEL_LOW UINT64_C(1000000000)
#define POLICY_FUEL_MEDIUM UINT64_C(50000000000)
#define POLICY_FUEL_MAX (UINT64_MAX >> 1)
#define POLICY_RAM_DEFAULT UINT64_C(512000000)
#define POLICY_RAM_MAX (UINT64_C(4) << 30)
#define POLICY_TIMEOUT_MAX_NS (UINT64_C(365) * 24 * 3600 * 1000000000)
enum { POLICY_RETRIES_DEFAULT = 1, POLICY_RETRIES_MAX = 1000, POLICY_LIST_MAX = 64, POLICY_NAME_MAX = 128 };

/* A file or folder of the host that a task may use. */
struct file_grant {
    char *host; /* as given, cleaned: relative to the project root ("data/x", "." for the root) or absolute */
    bool writable;
};

struct string_list {
    char **items;
    size_t n;
};

int string_list_add(struct string_list *l, const char *text); /* copies; ERROR_NOMEM */
int string_list_copy(const struct string_list *from, struct string_list *ret);
void string_list_done(struct string_list *l);

/* One place's options: what isn't set has its has_ flag false. */
struct task_options {
    bool has_compute, has_ram, has_timeout, has_retries, has_files, has_hosts, has_env, has_idempotent;
    uint64_t fuel, ram, timeout_ns;
    uint32_t retries;
    bool idempotent;
    struct file_grant *files;
    size_t n_files;
    struct string_list hosts, env;
};

enum option_place { OPTIONS_DECORATOR, OPTIONS_DEFAULTS /* default_… */, OPTIONS_LIMITS /* max_… */ };

/* Reads one option. key: as it is written at that place ("ram", "default_ram", "max_ram"); both spellings of the
 * decorator's keys are known (max_retries and maxRetries, …). ERROR_INVALID: value can't be parsed (message says what was
 * expected); ERROR_NOT_FOUND: no such option (hint names the nearest). A decorator's null is "not given". Messages begin with the key; file and
 * line are for the caller to put in front (error_prefix). */
int task_options_set(struct task_options *o, enum option_place place, const char *key, const json_value *value,
                     struct error *err);
void task_options_done(struct task_options *o);

/* A task's policy, all values decided. */
struct policy {
    char *name;
    uint64_t fuel;       /* per attempt */
    uint64_t ram;        /* bytes of linear memory */
    uint64_t timeout_ns; /* per attempt; 0: none */
    uint32_t max_retries;
    bool idempotent;   /* false: if it was in flight when the process died, a resumed run doesn't run it again */
    bool hosts_listed; /* false: public hosts */
    /* hosts comes from [limits] because the task lists none: what is reachable is what's listed and public, so that a
     * listed private address or port opens nothing here. */
    bool hosts_public_only;
    struct file_grant *files;
    size_t n_files;
    struct string_list hosts, env;
};

/* decorator over defaults over built-in values, numbers capped by limits. A file, host or variable that limits doesn't
 * include is ERROR_PROJECT. File grants must stay inside the project unless defaults or limits name a folder that
 * contains them; the most specific entry of limits that contains a grant decides whether it may be writable, and nothing that
 * limits make read-only becomes writable through a folder above it. A host in limits with a port, or without one, includes
 * exactly that. where: "main.py:12", for messages. Whether the files exist isn't checked. */
int policy_resolve(const char *name, const char *where, const struct task_options *decorator,
                   const struct task_options *defaults, const struct task_options *limits, struct policy *ret,
                   struct error *err);
void policy_done(struct policy *p);

/* The grammar of single values; *ret untouched on failure. "512MB", "64MiB", 1000 (bytes) · "500ms", "30s", "5m", "1h",
 * "7d" · "LOW", "MEDIUM", "HIGH", "1000000", 1000000. */
int parse_size(const char *text, uint64_t *ret_bytes, struct error *err);
int parse_duration(const char *text, uint64_t *ret_ns, struct error *err);
int parse_compute(const char *text, uint64_t *ret_fuel, struct error *err);
/* The same out of a document: a size as text or as a number of bytes; a list of hosts, cleaned, none twice. */
int read_size(const json_value *value, uint64_t *ret_bytes, struct error *err);
int read_hosts(const json_value *value, struct string_list *ret, struct error *err);

#endif
