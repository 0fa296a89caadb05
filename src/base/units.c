/* See units.h. Numbers are read by hand: strtod depends on the locale and takes "inf", "nan" and hexadecimal. */
#include "base/units.h"
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define KILO UINT64_C(1000)
#define KIBI UINT64_C(1024)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KB", KILO},
    {"MB", KILO *KILO},
    {"GB", KILO *KILO *KILO},
    {"TB", KILO *KILO *KILO *KILO},
    {"KiB", KIBI},
    {"MiB", KIBI *KIBI},
    {"GiB", KIBI *KIBI *KIBI},
    {"TiB", KIBI *KIBI *KIBI *KIBI},
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", KILO},
    {"ms", KILO *KILO},
    {"s", KILO *KILO *KILO},
    {"m", 60 * KILO *KILO *KILO},
    {"h", 3600 * KILO *KILO *KILO},
    {"d", 86400 * KILO *KILO *KILO},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* DIGITS[.DIGITS], times factor, rounded down. False when malformed or too large. */
static bool scale(const char *text, size_t n, uint64_t factor, uint64_t *ret) {
    uint64_t whole = 0;
    unsigned __int128 part = 0;
    size_t i = 0;
    for (; i < n && is_digit(text[i]); i++)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, text[i] - '0', &whole))
            return false;
    if (i == 0)
        return false;
    if (i < n && (text[i] != '.' || i + 1 == n))
        return false;
    unsigned __int128 divisor = 1;
    /* 18 places are more than any factor here can tell apart; the rest only has to be digits. */
    for (size_t places = 0; ++i < n; places++) {
        if (!is_digit(text[i]))
            return false;
        if (places < 18) {
            divisor *= 10;
            part = part * 10 + (unsigned)(text[i] - '0');
        }
    }
    part = part * factor / divisor;
    return !__builtin_mul_overflow(whole, factor, ret) && !__builtin_add_overflow(*ret, (uint64_t)part, ret);
}

static bool parse(const char *text, const struct unit *units, size_t units_n, bool any_case, uint64_t *ret) {
    const size_t number = strspn(text, "0123456789.");
    const char *name = text + number;
    if (*name == ' ')
        name++;
    for (size_t i = 0; i < units_n; i++) {
        const bool same = any_case ? strcasecmp(name, units[i].name) == 0 : strcmp(name, units[i].name) == 0;
        uint64_t value;
        if (same && scale(text, number, units[i].factor, &value)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

int units_size(const char *text, uint64_t *ret_bytes, struct error *err) {
    if (parse(text, size_units, sizeof size_units / sizeof size_units[0], true, ret_bytes))
        return 0;
    error_set(err, ERROR_INVALID, "'%.64s' isn't a size", text);
    error_hint(err, "Write a number and a unit, such as 64MB, 2GB or 512MiB.");
    return ERROR_INVALID;
}

int units_duration(const char *text, uint64_t *ret_ns, struct error *err) {
    if (parse(text, duration_units, sizeof duration_units / sizeof duration_units[0], false, ret_ns))
        return 0;
    error_set(err, ERROR_INVALID, "'%.64s' isn't a duration", text);
    error_hint(err, "Write a number and a unit, such as 500ms, 30s, 5m or 1h.");
    return ERROR_INVALID;
}
