/* Owns what becomes of esbuild's messages. Its form of one:
 *
 *     ✘ [ERROR] Could not resolve "lodas"
 *
 *         main.ts:1:14:
 *           1 │ import a from "lodas";
 *             ╵               ~~~~~~~
 *
 *       You can mark the path "lodas" as external … (notes; these may have a place and lines of source too)
 *
 * Columns count from 0 there and from 1 here. Said differently are imports that can't be resolved and files of a kind that can't be
 * imported; the advice about esbuild's options is left out, since nobody gives options here. All else is kept as it is, and a text that doesn't
 * look like this is shown whole. Control characters of the program's source don't reach the terminal. Thread rule: any thread. */
#define _GNU_SOURCE 1
#include "app/bundle_internal.h"

#include "base/suggest.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 512, NAMES_MAX = 4096, SHOWN_MAX = 7 * 1024 };

static const char MARK[] = "✘ [ERROR] ";
static const char WARNING[] = "▲ [WARNING] ";

struct span {
    const char *text;
    size_t n;
};

/* One message; the parts point into esbuild's text. */
struct message {
    struct span head, file, excerpt, notes;
    unsigned long line, column;
    char name[WORD_MAX]; /* in the head's first quotes, "" if there are none */
};

struct explanation {
    const struct project *project;
    struct buffer text;
    size_t n;
    char hint[ERROR_HINT_MAX]; /* of the first message that has one */
};

/* ---- reading ---- */

static bool begins(struct span s, const char *text) {
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.text, text, n) == 0;
}

/* Cuts the first line off *rest. */
static struct span take_line(struct span *rest) {
    const char *end = memchr(rest->text, '\n', rest->n);
    struct span line = {rest->text, end ? (size_t)(end - rest->text) : rest->n};
    size_t taken = line.n + (end != NULL);
    rest->text += taken;
    rest->n -= taken;
    return line;
}

static bool is_blank(struct span s) {
    for (size_t i = 0; i < s.n; i++)
        if (!isspace((unsigned char)s.text[i]))
            return false;
    return true;
}

/* Cuts the number before end off a text "…:12". */
static bool take_number(struct span *s, unsigned long *ret) {
    size_t n = s->n;
    while (n > 0 && isdigit((unsigned char)s->text[n - 1]))
        n--;
    if (n == s->n || s->n - n > 9 || n == 0 || s->text[n - 1] != ':')
        return false;
    *ret = 0;
    for (size_t i = n; i < s->n; i++)
        *ret = *ret * 10 + (unsigned long)(s->text[i] - '0');
    s->n = n - 1;
    return true;
}

/* "    main.ts:1:14:" */
static bool read_place(struct span line, struct message *m) {
    struct span s = line;
    unsigned long number, column;
    if (!begins(s, "    ") || s.n < 5 || s.text[4] == ' ' || s.text[s.n - 1] != ':')
        return false;
    s.text += 4;
    s.n -= 5;
    if (!take_number(&s, &column) || !take_number(&s, &number) || s.n == 0)
        return false;
    m->file = s;
    m->line = number;
    m->column = column + 1;
    return true;
}

static void read_name(struct message *m) {
    const char *from = memchr(m->head.text, '"', m->head.n);
    size_t left = from ? m->head.n - (size_t)(from + 1 - m->head.text) : 0;
    const char *to = left ? memchr(from + 1, '"', left) : NULL;
    size_t n = to ? (size_t)(to - from - 1) : 0;
    if (n >= sizeof m->name)
        n = 0;
    if (n)
        memcpy(m->name, from + 1, n);
    m->name[n] = '\0';
}

/* The block of one message, from its mark on. */
static void read_message(struct span block, struct message *m) {
    struct span rest = {block.text + sizeof MARK - 1, block.n - (sizeof MARK - 1)}, line;
    *m = (struct message){.head = take_line(&rest)};
    read_name(m);
    struct span start = rest;
    do
        line = take_line(&rest);
    while (rest.n > 0 && is_blank(line));
    if (!read_place(line, m)) {
        m->notes = start;
        return;
    }
    m->excerpt.text = rest.text;
    while (rest.n > 0 && begins(rest, "      "))
        take_line(&rest);
    m->excerpt.n = (size_t)(rest.text - m->excerpt.text);
    m->notes = rest;
}

/* Where the next message begins, or the end. */
static size_t next_mark(struct span s) {
    for (size_t i = 1; i < s.n; i++)
        if (s.text[i - 1] == '\n') {
            struct span rest = {s.text + i, s.n - i};
            if (begins(rest, MARK) || begins(rest, WARNING))
                return i;
        }
    return s.n;
}

/* ---- telling ---- */

void bundle_put_clean(struct buffer *to, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xC2 && i + 1 < n && (unsigned char)text[i + 1] < 0xA0;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || c1)
            c = '?';
        i += c1;
        (void)buffer_putc(to, (char)c);
    }
}

static void put(struct explanation *e, const char *text, size_t n) {
    bundle_put_clean(&e->text, text, n);
}

static void put_text(struct explanation *e, const char *text) {
    put(e, text, strlen(text));
}

static void trim_end(struct span *s) {
    while (s->n > 0 && isspace((unsigned char)s->text[s->n - 1]))
        s->n--;
}

static void hint(struct explanation *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void hint(struct explanation *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!e->hint[0])
        vsnprintf(e->hint, sizeof e->hint, format, args);
    va_end(args);
}

/* The names in folder that begin with prefix; each is listed as it would be imported. */
static void list_names(const char *folder, const char *prefix, struct string_list *ret) {
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    while (listing && ret->n < NAMES_MAX && (entry = readdir(listing))) {
        char name[WORD_MAX];
        size_t n = strcspn(entry->d_name, ".");
        bool whole = prefix[0] == '@' || !prefix[0]; /* a package, not a file */
        if (entry->d_name[0] != '.' && snprintf(name, sizeof name, "%s%.*s", prefix, whole ? WORD_MAX : (int)n,
                                                entry->d_name) < (int)sizeof name)
            (void)string_list_add(ret, name);
    }
    if (listing)
        closedir(listing);
}

/* A copy of the nearest of the names, or NULL. */
static char *nearest(const char *name, const struct string_list *names) {
    const char *near = suggest_nearest(name, (const char *const *)names->items, names->n);
    return near && strcmp(near, name) != 0 ? strdup(near) : NULL;
}

static char *nearest_package(const struct explanation *e, const char *package) {
    CLEANUP(string_list_done) struct string_list names = {0};
    char folder[PATH_LENGTH_MAX], scope[WORD_MAX] = "node_modules/";
    if (path_normalize(e->project->root, "node_modules", folder, sizeof folder) > 0)
        list_names(folder, "", &names);
    size_t n = strcspn(package, "/");
    if (package[0] == '@' && package[n] == '/' && n + 16 < sizeof scope) {
        snprintf(scope, sizeof scope, "node_modules/%.*s", (int)n, package);
        if (path_normalize(e->project->root, scope, folder, sizeof folder) > 0) {
            snprintf(scope, sizeof scope, "%.*s/", (int)n, package);
            list_names(folder, scope, &names);
        }
    }
    return nearest(package, &names);
}

/* "./nmae" in "src/main.ts": is there a "./name"? */
static char *nearest_file(const struct explanation *e, const struct message *m) {
    CLEANUP(string_list_done) struct string_list names = {0};
    char path[PATH_LENGTH_MAX], folder[PATH_LENGTH_MAX], prefix[WORD_MAX];
    snprintf(path, sizeof path, "%.*s", (int)m->file.n, m->file.text);
    path[path_dir_length(path)] = '\0';
    snprintf(prefix, sizeof prefix, "%.*s/", (int)path_dir_length(m->name), m->name);
    if (path_normalize(e->project->root, path, folder, sizeof folder) < 0 ||
        path_normalize(folder, prefix, path, sizeof path) < 0)
        return NULL;
    list_names(path, prefix, &names);
    return nearest(m->name, &names);
}

/* The package that a file below node_modules belongs to. */
static bool package_of(struct span file, char ret[WORD_MAX]) {
    static const char folder[] = "node_modules/";
    const char *at = NULL;
    for (size_t i = 0; i + sizeof folder - 1 < file.n; i++)
        if (memcmp(file.text + i, folder, sizeof folder - 1) == 0)
            at = file.text + i + sizeof folder - 1;
    if (!at)
        return false;
    size_t left = file.n - (size_t)(at - file.text), n = 0;
    for (int parts = at[0] == '@' ? 2 : 1; n < left && parts > 0; n++)
        parts -= at[n] == '/';
    n -= n > 0 && at[n - 1] == '/';
    snprintf(ret, WORD_MAX, "%.*s", (int)n, at);
    return true;
}

static bool is_relative(const char *name) {
    return name[0] == '.' || name[0] == '/';
}

static void hint_unresolved(struct explanation *e, const struct message *m, bool in_package,
                            const char *importer) {
    CLEANUP(cleanup_free) char *near = NULL;
    char package[WORD_MAX];
    size_t n = strcspn(m->name, "/");
    if (is_relative(m->name)) {
        near = nearest_file(e, m);
        if (near)
            hint(e, "did you mean \"%s\"?", near);
        return;
    }
    if (m->name[0] == '@' && m->name[n] == '/')
        n += 1 + strcspn(m->name + n + 1, "/");
    snprintf(package, sizeof package, "%.*s", (int)n, m->name);
    near = in_package ? NULL : nearest_package(e, package);
    if (near)
        hint(e, "did you mean \"%s\"? If not, install it: npm install %s", near, package);
    else if (in_package)
        hint(e, "the package \"%s\" needs it: npm install %s", importer, package);
    else
        hint(e, "install it: npm install %s", package);
}

/* A line of esbuild's advice about its options. */
static bool is_advice(struct span line) {
    return begins(line, "  You can mark the path") ||
           (begins(line, "  The package \"") && memmem(line.text, line.n, "--platform=node", 15));
}

/* The notes below a message, without the advice and the empty lines around it. */
static void put_notes(struct explanation *e, struct span notes, bool advice) {
    size_t blank = 0;
    trim_end(&notes);
    while (notes.n > 0) {
        struct span line = take_line(&notes);
        blank += is_blank(line);
        if (is_blank(line) || (!advice && is_advice(line)))
            continue;
        put_text(e, blank > 0 ? "\n\n" : "\n");
        put(e, line.text, line.n);
        blank = 0;
    }
}

static void tell_unresolved(struct explanation *e, const struct message *m) {
    char importer[WORD_MAX] = "";
    bool in_package = package_of(m->file, importer);
    const char *instead = bundle_builtin(m->name);
    if (!instead) {
        put(e, m->head.text, m->head.n);
        hint_unresolved(e, m, in_package, importer);
    } else {
        put_text(e, "\"");
        put_text(e, m->name);
        put_text(e, "\" is a built-in module of Node, which a sandbox doesn't have");
        if (in_package)
            hint(e, "the package \"%s\" is made for Node: look for one that runs in browsers", importer);
        else
            hint(e, "%s", instead);
    }
    if (in_package) {
        put_text(e, " (imported by the package \"");
        put_text(e, importer);
        put_text(e, "\")");
    } else if (instead) {
        put_text(e, ": ");
        put_text(e, instead);
    }
}

static void tell(struct explanation *e, const struct message *m) {
    bool unresolved = begins(m->head, "Could not resolve \"") && m->name[0];
    if (e->text.size > 0)
        put_text(e, "\n\n");
    if (m->file.n > 0) {
        put(e, m->file.text, m->file.n);
        (void)buffer_printf(&e->text, ":%lu:%lu: ", m->line, m->column);
    }
    if (unresolved)
        tell_unresolved(e, m);
    else
        put(e, m->head.text, m->head.n);
    if (m->file.n == 0 && begins(m->head, "Invalid "))
        hint(e, "this esbuild may be too old (0.25 or later is needed): npm install -g esbuild");
    else if (begins(m->head, "No loader is configured for \".node\""))
        hint(e, "native add-ons can't run in a sandbox: look for a package of pure JavaScript");
    else if (begins(m->head, "No loader is configured for"))
        hint(e, "only TypeScript, JavaScript and JSON can be imported; read other files inside a task: "
                "files.readText(\"…\"), with the file in its allowedFiles");
    struct span excerpt = m->excerpt;
    trim_end(&excerpt);
    if (excerpt.n > 0) {
        put_text(e, "\n");
        put(e, excerpt.text, excerpt.n);
    }
    put_notes(e, m->notes, !unresolved);
}

/* npm's launcher of esbuild, a script, adds where in itself it noticed the failure. */
static void cut_launcher(struct span *s) {
    static const char mark[] = "\nnode:child_process:";
    const char *at = memmem(s->text, s->n, mark, sizeof mark - 1);
    if (at)
        s->n = (size_t)(at - s->text);
}

/* False if the text isn't of the form that's known; nothing was told then. */
static bool tell_all(struct explanation *e, struct span s) {
    struct message m;
    size_t more = 0;
    cut_launcher(&s);
    while (s.n > 0 && s.text[0] == '\n') {
        s.text++;
        s.n--;
    }
    if (!begins(s, MARK) && !begins(s, WARNING))
        return false;
    while (s.n > 0) {
        struct span block = {s.text, next_mark(s)};
        s.text += block.n;
        s.n -= block.n;
        if (begins(block, WARNING))
            continue;
        read_message(block, &m);
        if (e->n < BUNDLE_ERRORS_SHOWN && e->text.size < SHOWN_MAX)
            tell(e, &m);
        else
            more++;
        e->n++;
    }
    if (more > 0)
        (void)buffer_printf(&e->text, "\n\nand %zu more", more);
    return e->n > 0;
}

/* A Go program adds pages about its inside. */
static bool is_out_of_memory(struct span s) {
    struct span line = take_line(&s);
    return begins(line, "fatal error: ") && memmem(line.text, line.n, "out of memory", 13);
}

int bundle_explain(const struct project *p, const char *text, size_t n, struct error *err) {
    if (is_out_of_memory((struct span){text, n})) {
        error_set(err, ERROR_IMPORT, "bundling %s took more memory than it may", p->entry);
        error_hint(err, "does it import a file that's very large, or a device?");
        return ERROR_IMPORT;
    }
    struct explanation e = {.project = p, .text = BUFFER_INIT(BUNDLE_MESSAGES_MAX)};
    if (!tell_all(&e, (struct span){text, n}) || e.text.size == 0) {
        put_text(&e, "esbuild failed:\n");
        struct span whole = {text, n};
        trim_end(&whole);
        put(&e, whole.text, whole.n);
    }
    error_set(err, ERROR_IMPORT, "%s", buffer_text(&e.text));
    buffer_clear(&e.text);
    put_text(&e, e.hint);
    error_hint(err, "%s", buffer_text(&e.text));
    buffer_done(&e.text);
    return ERROR_IMPORT;
}
