/* See options.h. */
#include "options.h"
#include "base/suggest.h"
#include "base/units.h"
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES_MAX = 32 };

static bool is_operand(const char *word) {
    if (word[0] != '-' || word[1] == '\0')
        return true;
    const char *digits = word[1] == '.' ? word + 2 : word + 1;
    return *digits >= '0' && *digits <= '9';
}

static const struct option *find(const struct option_reader *r, const char *name, size_t length) {
    for (size_t i = 0; i < r->options_n; i++)
        if (strlen(r->options[i].name) == length && memcmp(r->options[i].name, name, length) == 0)
            return &r->options[i];
    return NULL;
}

static const struct option *find_letter(const struct option_reader *r, char letter) {
    for (size_t i = 0; i < r->options_n; i++)
        if (r->options[i].letter == letter)
            return &r->options[i];
    return NULL;
}

static int refuse_unknown(const struct option_reader *r, const char *word, size_t length, struct error *err) {
    const char *candidates[CANDIDATES_MAX];
    size_t n = 0;
    candidates[n++] = "help";
    for (size_t i = 0; i < r->options_n && n < CANDIDATES_MAX; i++)
        candidates[n++] = r->options[i].name;
    char name[64] = "";
    if (word[1] == '-' && length - 2 < sizeof name)
        memcpy(name, word + 2, length - 2);
    const char *nearest = suggest_nearest(name, candidates, n);

    error_set(err, ERROR_INVALID, "unknown option %.*s", (int)length, word);
    const bool for_the_task = r->operands > 0 && strcmp(r->command, "run") == 0;
    if (for_the_task && nearest != NULL)
        error_hint(err, "did you mean --%s? If it's an argument of the task, put it after --: … -- %s", nearest,
                   word);
    else if (for_the_task)
        error_hint(err, "if it's an argument of the task, put it after --: … -- %s", word);
    else if (nearest != NULL)
        error_hint(err, "did you mean --%s? `capsule %s --help` lists the options", nearest, r->command);
    else
        error_hint(err, "`capsule %s --help` lists the options", r->command);
    return OPTION_BAD;
}

/* option was found; inline_value is what followed "=", or NULL. */
static int take_value(struct option_reader *r, const struct option *option, const char *inline_value,
                      const char **ret_value, struct error *err) {
    if (option->value == NULL && inline_value != NULL) {
        error_set(err, ERROR_INVALID, "option --%s takes no value", option->name);
        return OPTION_BAD;
    }
    if (option->value != NULL && inline_value == NULL) {
        const char *next = r->at < r->argc ? r->argv[r->at] : NULL;
        if (next == NULL || strncmp(next, "--", 2) == 0) {
            error_set(err, ERROR_INVALID, "option --%s needs a value", option->name);
            error_hint(err, "write --%s %s, or --%s=%s if it starts with dashes", option->name, option->value,
                       option->name, option->value);
            return OPTION_BAD;
        }
        inline_value = next;
        r->at++;
    }
    *ret_value = inline_value;
    return (int)(option - r->options);
}

int option_next(struct option_reader *r, const char **ret_value, struct error *err) {
    if (r->at < r->argc && !r->ended && strcmp(r->argv[r->at], "--") == 0) {
        r->ended = true;
        r->at++;
    }
    if (r->at >= r->argc)
        return OPTION_END;
    const char *word = r->argv[r->at++];
    *ret_value = word;
    if (r->ended || is_operand(word)) {
        r->operands++;
        return OPTION_OPERAND;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return OPTION_HELP;

    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    const size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct option *option = NULL;
    if (word[1] == '-')
        option = find(r, word + 2, length - 2);
    else if (length == 2)
        option = find_letter(r, word[1]);
    if (option == NULL)
        return refuse_unknown(r, word, length, err);
    return take_value(r, option, equals != NULL ? equals + 1 : NULL, ret_value, err);
}

int option_refuse_operand(const struct option_reader *r, const char *operand, struct error *err) {
    error_set(err, ERROR_INVALID, "unexpected argument '%s'", operand);
    error_hint(err, "`capsule %s --help` shows how it is called", r->command);
    return OPTION_BAD;
}

int option_bad_value(const char *name, struct error *err) {
    struct error why = *err;
    error_set(err, why.code, "option --%s: %s", name, why.message);
    error_hint(err, "%s", why.hint);
    return OPTION_BAD;
}

static int read_duration(const char *name, const char *value, uint64_t *ret, struct error *err) {
    if (units_duration(value, ret, err) != 0)
        return option_bad_value(name, err);
    if (*ret > 0)
        return 0;
    error_set(err, ERROR_INVALID, "option --%s must be more than 0", name);
    return OPTION_BAD;
}

int option_timeout(const char *value, uint64_t *ret, struct error *err) {
    return read_duration("timeout", value, ret, err);
}

int option_suspend_after(const char *value, uint64_t *ret, struct error *err) {
    return read_duration("suspend-after", value, ret, err);
}

int option_jobs(const char *value, unsigned *ret, struct error *err) {
    char *end = NULL;
    const unsigned long jobs = strspn(value, "0123456789") > 0 ? strtoul(value, &end, 10) : 0;
    if (jobs == 0 || jobs > OPTION_JOBS_MAX || *end != '\0') {
        error_set(err, ERROR_INVALID, "option --jobs must be a number from 1 to %d", OPTION_JOBS_MAX);
        error_hint(err, "leave it out to use every core");
        return OPTION_BAD;
    }
    *ret = (unsigned)jobs;
    return 0;
}
