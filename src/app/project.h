/* Where a program lives on the host: its root, its entry file, its packages and its environment. */
#ifndef APP_PROJECT_H
#define APP_PROJECT_H

#include "app/manifest.h"
#include "base/error.h"

enum language { LANGUAGE_PYTHON, LANGUAGE_JAVASCRIPT, LANGUAGES_N };

struct project {
    char *
        root; /* absolute, symlinks resolved: folder of the nearest capsule.toml above the entry, else entry's folder */
    int root_fd; /* O_PATH */
    char *entry; /* relative to root: "main.py", "src/app.py" */
    char *entry_as_given;
    enum language language;
    struct manifest manifest;
    struct string_list
        site_packages; /* absolute host folders: $VIRTUAL_ENV, then .venv of root; each …/site-packages */
};

/* file: as the user gave it, relative to the working directory, or NULL: [workflow] entrypoint of the nearest capsule.toml
 * above the working directory. A capsule.toml of another user, who is neither root nor the owner of what is run, is refused. ERROR_PROJECT, each with its own message and hint: no such file, a folder, unreadable, unknown
 * extension, no capsule.toml or no entrypoint in it, …  */
int project_open(const char *file, struct project *ret, struct error *err);
/* A project that's known: by its root and the entry's path below that, which need not be there any more. ERROR_PROJECT if that isn't a project's root now. */
int project_open_at(const char *root, const char *entry, struct project *ret, struct error *err);
void project_done(struct project *p);

/* Environment variables for tasks: the process's environment first, then `.env` of the project root (KEY=VALUE lines, `export `,
 * # comments, single and double quotes, which may span lines, with \n \r \t \" \\ \$ in double ones; no expansion; a later line
 * wins). */
struct dotenv;
/* A missing file is an empty one; a malformed or unreadable one is ERROR_PROJECT (".env:3: …"). */
int dotenv_read(const struct project *p, struct dotenv **ret, struct error *err);
/* NULL if neither place has it. d may be NULL: the process's environment only. */
const char *dotenv_get(const struct dotenv *d, const char *name);
void dotenv_free(struct dotenv *d);

#endif
