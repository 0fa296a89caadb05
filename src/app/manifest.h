/* capsule.toml: found, read and checked. Every key is known or an error with file, line and a suggestion.
 *
 *   [workflow] name, version, entrypoint      strings; entrypoint relative to the manifest's folder
 *   [tasks]    default_compute, default_ram, default_timeout, default_max_retries, default_allowed_files,
 *              default_allowed_hosts, default_env_variables
 *   [limits]   max_compute, max_ram, max_timeout, max_retries (also max_max_retries), max_allowed_files, max_allowed_hosts,
 *              max_env_variables
 *   [http]     max_response_size, max_header_size, max_total_bytes: sizes; max_concurrent_requests: of one task
 *   [secrets]  NAME = { hosts = ["api.example.com"] }: the variable NAME is a placeholder in sandboxes; its value goes into requests to
 *              these hosts only
 *   [python]   paths = ["src"]: folders added to sys.path, relative to the manifest; packages = [...] is refused with a
 *              message that says installing is done with pip into .venv
 *   [js]       paths = ["../shared"]: folders, relative to the manifest or absolute, that imports may come from although they lie outside of
 *              the project; packages = [...] is refused with a message that says installing is done with npm */
#ifndef APP_MANIFEST_H
#define APP_MANIFEST_H

#include "app/policy.h"
#include "base/error.h"

enum { MANIFEST_SECRETS_MAX = 64, MANIFEST_REQUESTS_MAX = 1024 };
/* libcurl refuses more whatever it is told. */
#define MANIFEST_HEADER_SIZE_MAX UINT64_C(300000)

/* 0: not set. */
struct http_settings {
    uint64_t max_response_size, max_header_size, max_total_bytes; /* bytes */
    uint32_t max_concurrent_requests;
};

struct secret_grant {
    char *name;               /* of the variable */
    struct string_list hosts; /* cleaned; at least one */
};

struct manifest {
    char *path; /* NULL: there is no capsule.toml and all values are defaults */
    char *name, *version, *entrypoint;
    struct task_options defaults, limits;
    struct http_settings http;
    uint64_t
        journal_keep; /* [journal] keep: ns that ended runs stay on record; 0: not given, UINT64_MAX: for ever */
    struct secret_grant *secrets;
    size_t n_secrets;
    struct string_list python_paths, js_paths;
};

/* path: of the file itself. */
int manifest_read(const char *path, struct manifest *ret, struct error *err);
void manifest_done(struct manifest *m);

#endif
