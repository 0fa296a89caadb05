/* See show_tasks.h.
 *
 *   #1 main          completed    7.4 ms  fuel 812345  ram 16.3 MB
 *   ├─ #2 price      completed    3.1 ms  fuel 478771  ram 16.3 MB
 *   │     GET https://api.example.com/items?key=***  200  2.7 ms  1.5 kB
 *   └─ #3 approve    suspended
 *         waits for the signal "approval" since 16:27:58
 *
 * Of many siblings the middle is left out, except what didn't go well; of what one task did, all but the ends. */
#include "show_tasks.h"
#include "base/error.h"
#include "base/utf8.h"
#include "moment.h"
#include "output.h"
#include "recorded.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SIBLINGS_HEAD = 10, /* shown of many: the first and the last, and some of those between that didn't go well */
    SIBLINGS_TAIL = 5,
    SIBLINGS_ODD = 20,
    ITEMS_HEAD = 4, /* the same of a task's retries, requests and waits */
    ITEMS_TAIL = 2,
    LABEL_MAX = 44, /* columns */
    STATE_WIDTH = 11,
    PREFIX_MAX = 4096
};

struct node {
    const json_value *task;
    uint32_t id, depth, children;
    size_t parent, first, last, next; /* index + 1; 0: none */
};

struct tree {
    struct node *nodes;
    size_t n;
    int label_width;
    uint64_t now;
    bool all;
    struct buffer *to;
};

/* ---- pieces ---- */

uint64_t show_number(const json_value *object, const char *key) {
    uint64_t n = 0;
    json_u64(json_get(object, key), &n);
    return n;
}

uint64_t show_duration(const json_value *object, const char *key) {
    const double ms = json_number(json_get(object, key), 0);
    return ms > 0 && ms < 1e12 ? (uint64_t)(ms * 1e6) : 0;
}

void show_short(const char *text, struct buffer *to) {
    const size_t n = strlen(text), kept = n > SHOW_TEXT_MAX ? utf8_cut(text, n, SHOW_TEXT_MAX) : n;
    CLEANUP(cleanup_free) char *beginning = strndup(text, kept);
    if (beginning != NULL)
        output_escape(to, beginning, true);
    if (kept < n)
        buffer_puts(to, " …");
}

void show_error(const json_value *error, struct buffer *to) {
    const char *class_name = json_text(json_get(error, "class"), NULL);
    const char *message = json_text(json_get(error, "message"), "");
    buffer_printf(to, "%s: ", json_text(json_get(error, "type"), "unknown"));
    if (class_name != NULL) {
        show_short(class_name, to);
        buffer_puts(to, message[0] != '\0' ? ": " : "");
    }
    show_short(message, to);
}

static const char *text_of(const json_value *object, const char *key) {
    return json_text(json_get(object, key), "");
}

static uint64_t time_of(const json_value *object, const char *key) {
    return moment_parse(json_text(json_get(object, key), NULL));
}

static const char *on(enum style s) {
    return style(STDOUT_FILENO, s);
}

static const char *off(void) {
    return style(STDOUT_FILENO, STYLE_PLAIN);
}

/* ---- what one task did ---- */

static void put_retry(const struct tree *t, const json_value *retry) {
    char delay[MOMENT_MAX];
    buffer_printf(t->to, "%sattempt %" PRIu64 " failed%s, the next after %s: %s: ", on(STYLE_YELLOW),
                  show_number(retry, "attempt"), off(),
                  moment_format_span(delay, sizeof delay, show_duration(retry, "delay_ms")),
                  text_of(retry, "type"));
    show_short(text_of(retry, "message"), t->to);
}

static void put_request(const struct tree *t, const json_value *request) {
    char span[MOMENT_MAX], bytes[32];
    const uint64_t status = show_number(request, "status");
    show_short(text_of(request, "method"), t->to);
    buffer_putc(t->to, ' ');
    show_short(text_of(request, "url"), t->to);
    if (status == 0)
        buffer_printf(t->to, "  %sno response%s", on(STYLE_RED), off());
    else
        buffer_printf(t->to, "  %s%" PRIu64 "%s", on(status < 400 ? STYLE_GREEN : STYLE_RED), status, off());
    buffer_printf(t->to, "  %s  %s", moment_format_span(span, sizeof span, show_duration(request, "duration_ms")),
                  format_bytes(bytes, sizeof bytes, show_number(request, "bytes")));
}

static void put_wait(const struct tree *t, const json_value *wait) {
    char text[MOMENT_MAX];
    const uint64_t since = time_of(wait, "since"), until = time_of(wait, "until"), ended = time_of(wait, "ended");
    const bool signal = strcmp(text_of(wait, "kind"), "signal") == 0, over = ended != 0;
    buffer_puts(t->to, over ? "" : on(STYLE_CYAN));
    if (signal) {
        buffer_puts(t->to, over ? "waited for the signal \"" : "waits for the signal \"");
        show_short(text_of(wait, "name"), t->to);
        buffer_puts(t->to, "\"");
    } else {
        buffer_puts(t->to, over ? "slept" : "sleeps");
    }
    if (over)
        buffer_printf(t->to, "  %s", moment_format_span(text, sizeof text, ended > since ? ended - since : 0));
    else
        buffer_printf(t->to, " since %s", moment_format_short(text, sizeof text, since, t->now));
    if (!over && until != 0)
        buffer_printf(t->to, ", until %s", moment_format_short(text, sizeof text, until, t->now));
    buffer_puts(t->to, over ? "" : off());
}

static void put_prefix(const struct tree *t, const char *prefix) {
    buffer_printf(t->to, "%s%s%s", on(STYLE_DIM), prefix, off());
}

static void put_items(const struct tree *t, const json_value *task, const char *key, const char *prefix,
                      void (*put)(const struct tree *, const json_value *)) {
    char omitted_key[32];
    const json_value *items = json_get(task, key);
    const size_t n = json_size(items);
    size_t i = 0, cursor = 0;
    snprintf(omitted_key, sizeof omitted_key, "%s_omitted", key);
    const uint64_t never_listed = show_number(task, omitted_key);
    for (const json_value *item; (item = json_each(items, &cursor)) != NULL; i++) {
        const bool cut = !t->all && n > ITEMS_HEAD + ITEMS_TAIL + 1;
        if (cut && i == ITEMS_HEAD)
            buffer_printf(t->to, "%s%s… %zu more %s%s\n", on(STYLE_DIM), prefix, n - ITEMS_HEAD - ITEMS_TAIL, key,
                          off());
        if (cut && i >= ITEMS_HEAD && i < n - ITEMS_TAIL)
            continue;
        put_prefix(t, prefix);
        put(t, item);
        buffer_putc(t->to, '\n');
    }
    if (never_listed > 0)
        buffer_printf(t->to, "%s%s… and %" PRIu64 " more %s that aren't listed%s\n", on(STYLE_DIM), prefix,
                      never_listed, key, off());
}

/* ---- a task's line ---- */

static void put_label(const struct tree *t, const struct node *node, int indent) {
    CLEANUP(buffer_done) struct buffer name = BUFFER_INIT(OUTPUT_LINE_MAX);
    output_escape(&name, text_of(node->task, "name"), true);
    int columns = indent + snprintf(NULL, 0, "#%" PRIu32 " ", node->id);
    for (size_t i = 0; i < name.size; i++)
        columns += ((unsigned char)name.data[i] & 0xC0) != 0x80;
    buffer_printf(t->to, "%s#%" PRIu32 "%s %s%*s", on(STYLE_DIM), node->id, off(), buffer_text(&name),
                  columns < t->label_width ? t->label_width - columns : 0, "");
}

static void put_numbers(const struct tree *t, const struct node *node) {
    char span[MOMENT_MAX], ram[32];
    const json_value *task = node->task;
    const uint64_t attempts = show_number(task, "attempts"), starts = show_number(task, "starts");
    if (json_type(json_get(task, "duration_ms")) == JSON_NUMBER)
        buffer_printf(t->to, "  %10s  fuel %" PRIu64 "  ram %s",
                      moment_format_span(span, sizeof span, show_duration(task, "duration_ms")),
                      show_number(task, "fuel"), format_bytes(ram, sizeof ram, show_number(task, "ram")));
    if (attempts > 1)
        buffer_printf(t->to, "  %" PRIu64 " attempts", attempts);
    if (starts > attempts && starts > 1)
        buffer_printf(t->to, "  begun %" PRIu64 " times", starts);
}

static void put_line(const struct tree *t, const struct node *node, int indent) {
    const char *state = text_of(node->task, "state");
    put_label(t, node, indent);
    buffer_printf(t->to, "  %s%s%s", on(recorded_style(state)), state, off());
    const bool more =
        json_type(json_get(node->task, "duration_ms")) == JSON_NUMBER || show_number(node->task, "starts") > 1;
    if (more)
        buffer_printf(t->to, "%*s", (int)(strlen(state) < STATE_WIDTH ? STATE_WIDTH - strlen(state) : 0), "");
    put_numbers(t, node);
    buffer_putc(t->to, '\n');
}

static void put_details(const struct tree *t, const struct node *node, const char *prefix) {
    put_items(t, node->task, "retries", prefix, put_retry);
    put_items(t, node->task, "requests", prefix, put_request);
    put_items(t, node->task, "waits", prefix, put_wait);
    const json_value *error = json_get(node->task, "error");
    if (json_type(error) != JSON_OBJECT)
        return;
    put_prefix(t, prefix);
    buffer_puts(t->to, on(STYLE_RED));
    show_error(error, t->to);
    buffer_printf(t->to, "%s\n", off());
}

/* ---- the tree ---- */

/* Whether a sibling of many is one of those in the middle that are left out. */
static bool is_cut(const struct tree *t, const struct node *node, size_t i, size_t n, size_t *odd) {
    if (t->all || n <= SIBLINGS_HEAD + SIBLINGS_TAIL + 1 || i < SIBLINGS_HEAD || i >= n - SIBLINGS_TAIL)
        return false;
    return strcmp(text_of(node->task, "state"), "completed") == 0 || ++*odd > SIBLINGS_ODD;
}

static void put_node(const struct tree *t, const struct node *node, struct buffer *prefix, bool last);

static void put_children(const struct tree *t, size_t first, size_t n, struct buffer *prefix) {
    size_t i = 0, odd = 0, left_out = 0;
    for (size_t k = first; k != 0; k = t->nodes[k - 1].next, i++) {
        const struct node *node = &t->nodes[k - 1];
        if (is_cut(t, node, i, n, &odd)) {
            left_out++;
            continue;
        }
        if (left_out > 0)
            buffer_printf(t->to, "%s%s│  … %zu more%s\n", on(STYLE_DIM), buffer_text(prefix), left_out, off());
        left_out = 0;
        put_node(t, node, prefix, node->next == 0);
    }
}

static void put_node(const struct tree *t, const struct node *node, struct buffer *prefix, bool last) {
    const size_t before = prefix->size;
    const bool root = node->depth == 0;
    buffer_printf(t->to, "%s%s%s%s", on(STYLE_DIM), buffer_text(prefix), root ? "" : last ? "└─ " : "├─ ", off());
    put_line(t, node, (int)node->depth * 3);
    if (!root)
        buffer_puts(prefix, last ? "   " : "│  ");
    const size_t own = prefix->size;
    buffer_puts(prefix, node->children > 0 ? "│    " : "     ");
    put_details(t, node, buffer_text(prefix));
    prefix->size = own;
    if (prefix->data != NULL)
        prefix->data[own] = '\0';
    put_children(t, node->first, node->children, prefix);
    prefix->size = before;
    if (prefix->data != NULL)
        prefix->data[before] = '\0';
}

/* ---- its making ---- */

static int compare_ids(const void *key, const void *element) {
    const uint32_t id = *(const uint32_t *)key, other = ((const struct node *)element)->id;
    return (id > other) - (id < other);
}

static int compare_nodes(const void *a, const void *b) {
    return compare_ids(&((const struct node *)a)->id, b);
}

/* Tasks are created in the order of their numbers, parents before children. */
static void link_nodes(struct tree *t) {
    for (size_t i = 0; i < t->n; i++) {
        struct node *node = &t->nodes[i];
        const uint32_t parent_id = (uint32_t)show_number(node->task, "parent");
        struct node *parent =
            parent_id != 0 ? bsearch(&parent_id, t->nodes, i, sizeof *parent, compare_ids) : NULL;
        if (parent == NULL)
            continue;
        node->parent = (size_t)(parent - t->nodes) + 1;
        node->depth = parent->depth + 1;
        parent->children++;
        if (parent->last != 0)
            t->nodes[parent->last - 1].next = i + 1;
        else
            parent->first = i + 1;
        parent->last = i + 1;
    }
}

static void measure(struct tree *t) {
    for (size_t i = 0; i < t->n; i++) {
        const struct node *node = &t->nodes[i];
        const int columns = (int)node->depth * 3 + snprintf(NULL, 0, "#%" PRIu32 " ", node->id) +
                            (int)strlen(text_of(node->task, "name"));
        if (columns > t->label_width)
            t->label_width = columns < LABEL_MAX ? columns : LABEL_MAX;
    }
}

int show_tasks(const json_value *tasks, uint64_t now, bool all, struct buffer *to) {
    CLEANUP(cleanup_free) struct node *nodes = calloc(json_size(tasks) + 1, sizeof *nodes);
    CLEANUP(buffer_done) struct buffer prefix = BUFFER_INIT(PREFIX_MAX);
    if (nodes == NULL)
        return ERROR_NOMEM;
    struct tree t = {.nodes = nodes, .now = now, .all = all, .to = to};
    size_t cursor = 0;
    for (const json_value *task; (task = json_each(tasks, &cursor)) != NULL;)
        nodes[t.n++] = (struct node){.task = task, .id = (uint32_t)show_number(task, "id")};
    qsort(nodes, t.n, sizeof *nodes, compare_nodes);
    link_nodes(&t);
    measure(&t);
    for (size_t i = 0; i < t.n; i++)
        if (nodes[i].parent == 0)
            put_node(&t, &nodes[i], &prefix, true);
    return 0;
}
