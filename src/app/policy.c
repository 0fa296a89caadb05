/* Owns the decision: what one task may use, out of its decorator, the project's defaults and its limits.
 *
 * Invariant: nothing in a resolved policy exceeds [limits], whoever asked for it. Pure functions; any thread. */
#define _GNU_SOURCE 1
#include "app/policy.h"

#include "app/grants.h"
#include "base/buffer.h"
#include "base/fault.h"
#include "base/show.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

int string_list_add(struct string_list *l, const char *text) {
    char *copy = FAULT("list.copy") ? NULL : strdup(text);
    char **items = copy && !FAULT("list.grow") ? reallocarray(l->items, l->n + 1, sizeof *items) : NULL;
    if (!items) {
        free(copy);
        return ERROR_NOMEM;
    }
    l->items = items;
    l->items[l->n++] = copy;
    return 0;
}

int string_list_copy(const struct string_list *from, struct string_list *ret) {
    CLEANUP(string_list_done) struct string_list copy = {0};
    for (size_t i = 0; i < from->n; i++)
        if (string_list_add(&copy, from->items[i]))
            return ERROR_NOMEM;
    *ret = copy;
    copy = (struct string_list){0};
    return 0;
}

void string_list_done(struct string_list *l) {
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct string_list){0};
}

/* What a resolution is about; passed along for its messages. */
struct request {
    const char *name, *where;
    const struct task_options *decorator, *defaults, *limits;
};

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void resolve_numbers(const struct request *r, struct policy *p) {
    const struct task_options *d = r->decorator, *f = r->defaults, *l = r->limits;
    p->fuel = d->has_compute ? d->fuel : f->has_compute ? f->fuel : POLICY_FUEL_MEDIUM;
    p->ram = d->has_ram ? d->ram : f->has_ram ? f->ram : POLICY_RAM_DEFAULT;
    p->timeout_ns = d->has_timeout ? d->timeout_ns : f->has_timeout ? f->timeout_ns : 0;
    p->max_retries = d->has_retries ? d->retries : f->has_retries ? f->retries : POLICY_RETRIES_DEFAULT;
    if (l->has_compute)
        p->fuel = lesser(p->fuel, l->fuel);
    if (l->has_ram)
        p->ram = lesser(p->ram, l->ram);
    if (l->has_timeout)
        p->timeout_ns = p->timeout_ns ? lesser(p->timeout_ns, l->timeout_ns) : l->timeout_ns;
    if (l->has_retries)
        p->max_retries = (uint32_t)lesser(p->max_retries, l->retries);
}

static bool resolve_idempotent(const struct task_options *d, const struct task_options *f) {
    return d->has_idempotent ? d->idempotent : !f->has_idempotent || f->idempotent;
}

static int out_of_memory(struct error *err) {
    return error_set(err, ERROR_NOMEM, "out of memory while resolving a task's policy");
}

/* kind: "file"; list: "allowed_files", which is also part of the keys of capsule.toml. */
static int refuse_item(const struct request *r, const char *kind, const char *item, const char *list,
                       bool by_default, struct error *err) {
    error_set(err, ERROR_PROJECT,
              "%s: task \"%s\" may not use the %s \"%s\": max_%s in [limits] of capsule.toml doesn't include it",
              r->where, show(r->name).text, kind, show(item).text, list);
    error_hint(err, "add it to max_%s, or take it out of %s%s", list, by_default ? "default_" : "", list);
    return ERROR_PROJECT;
}

static int refuse_outside(const struct request *r, const char *path, struct error *err) {
    error_set(err, ERROR_PROJECT, "%s: task \"%s\": allowed_files has \"%s\", which is outside the project",
              r->where, show(r->name).text, show(path).text);
    error_hint(err,
               "put it into default_allowed_files or max_allowed_files of capsule.toml, or run with --mount %s",
               show(path).text);
    return ERROR_PROJECT;
}

/* The most specific of the grants that contain path, or NULL. */
static const struct file_grant *covering(const struct task_options *o, const char *path) {
    const struct file_grant *best = NULL;
    for (size_t i = 0; i < o->n_files; i++)
        if (grant_path_includes(o->files[i].host, path) &&
            (!best || grant_path_includes(best->host, o->files[i].host)))
            best = &o->files[i];
    return best;
}

/* True if limits make something inside path read-only. */
static bool holds_read_only(const struct task_options *limits, const char *path) {
    for (size_t i = 0; i < limits->n_files; i++)
        if (!limits->files[i].writable && grant_path_includes(path, limits->files[i].host))
            return true;
    return false;
}

static int resolve_file(const struct request *r, const struct file_grant *asked, bool by_default, struct policy *p,
                        struct error *err) {
    bool writable = asked->writable;
    const struct file_grant *limit = covering(r->limits, asked->host);
    if (r->limits->has_files) {
        if (!limit)
            return refuse_item(r, "file", asked->host, "allowed_files", by_default, err);
        writable = writable && limit->writable && !holds_read_only(r->limits, asked->host);
    }
    if (grant_path_is_outside(asked->host) && !limit) {
        /* The manifest opened this folder, as far as it says and no further. */
        const struct file_grant *opened = covering(r->defaults, asked->host);
        if (!opened)
            return refuse_outside(r, asked->host, err);
        writable = writable && opened->writable;
    }
    return file_grants_add(&p->files, &p->n_files, asked->host, writable) ? out_of_memory(err) : 0;
}

static int resolve_files(const struct request *r, struct policy *p, struct error *err) {
    bool by_default = !r->decorator->has_files;
    const struct task_options *from = by_default ? r->defaults : r->decorator;
    for (size_t i = 0; i < from->n_files; i++) {
        int status = resolve_file(r, &from->files[i], by_default, p, err);
        if (status)
            return status;
    }
    return 0;
}

static bool host_included(const struct string_list *limits, const char *host) {
    for (size_t i = 0; i < limits->n; i++)
        if (grant_host_includes(limits->items[i], host))
            return true;
    return false;
}

static int resolve_hosts(const struct request *r, struct policy *p, struct error *err) {
    bool by_default = !r->decorator->has_hosts;
    const struct task_options *from = by_default ? r->defaults : r->decorator;
    p->hosts_listed = from->has_hosts || r->limits->has_hosts;
    p->hosts_public_only = !from->has_hosts;
    const struct string_list *hosts = from->has_hosts ? &from->hosts : &r->limits->hosts;
    for (size_t i = 0; i < hosts->n; i++)
        if (r->limits->has_hosts && !host_included(&r->limits->hosts, hosts->items[i]))
            return refuse_item(r, "host", hosts->items[i], "allowed_hosts", by_default, err);
    return string_list_copy(hosts, &p->hosts) ? out_of_memory(err) : 0;
}

static bool listed(const struct string_list *names, const char *name) {
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static int resolve_env(const struct request *r, struct policy *p, struct error *err) {
    bool by_default = !r->decorator->has_env;
    const struct string_list *names = by_default ? &r->defaults->env : &r->decorator->env;
    for (size_t i = 0; i < names->n; i++)
        if (r->limits->has_env && !listed(&r->limits->env, names->items[i]))
            return refuse_item(r, "environment variable", names->items[i], "env_variables", by_default, err);
    return string_list_copy(names, &p->env) ? out_of_memory(err) : 0;
}

static int check_name(const struct request *r, struct error *err) {
    size_t n = strlen(r->name);
    bool valid = n > 0 && n <= POLICY_NAME_MAX && utf8_valid(r->name, n);
    for (size_t i = 0; i < n && valid; i++)
        valid = (unsigned char)r->name[i] >= 0x20 && r->name[i] != 0x7F;
    if (valid)
        return 0;
    error_set(err, ERROR_PROJECT, "%s: \"%s\" can't be the name of a task", r->where, show(r->name).text);
    error_hint(err, "a name has 1 to %d bytes of UTF-8 and no control characters", POLICY_NAME_MAX);
    return ERROR_PROJECT;
}

int policy_resolve(const char *name, const char *where, const struct task_options *decorator,
                   const struct task_options *defaults, const struct task_options *limits, struct policy *ret,
                   struct error *err) {
    const struct request r = {name, where, decorator, defaults, limits};
    CLEANUP(policy_done) struct policy p = {0};
    int status = check_name(&r, err);
    if (status)
        return status;
    if (FAULT("policy.name") || !(p.name = strdup(name)))
        return out_of_memory(err);
    resolve_numbers(&r, &p);
    p.idempotent = resolve_idempotent(decorator, defaults);
    if ((status = resolve_files(&r, &p, err)) || (status = resolve_hosts(&r, &p, err)) ||
        (status = resolve_env(&r, &p, err)))
        return status;
    *ret = p;
    p = (struct policy){0};
    return 0;
}

void policy_done(struct policy *p) {
    free(p->name);
    file_grants_free(p->files, p->n_files);
    string_list_done(&p->hosts);
    string_list_done(&p->env);
    *p = (struct policy){0};
}
