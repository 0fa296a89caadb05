/* Owns the one definition of well-formed UTF-8. Pure functions; any thread. */
#include "base/utf8.h"

static bool continues(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Length announced by a first byte, and the bounds of the second byte, which rule out overlong forms,
 * surrogates and code points that don't exist. */
static size_t lead(unsigned char c, unsigned char *low, unsigned char *high) {
    *low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    *high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF)
        return 3;
    return c >= 0xF0 && c <= 0xF4 ? 4 : 0;
}

size_t utf8_step(const char *text, size_t n) {
    if (n == 0)
        return 0;
    unsigned char low, high;
    size_t length = lead((unsigned char)text[0], &low, &high);
    if (length <= 1)
        return length;
    if (length > n || (unsigned char)text[1] < low || (unsigned char)text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!continues(text[i]))
            return 0;
    return length;
}

bool utf8_valid(const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t length = utf8_step(text + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t n, size_t limit) {
    if (limit > n)
        limit = n;
    /* Only the last character can be split, and it began at most four bytes ago. */
    for (size_t start = limit; start > 0 && limit - start < 4;) {
        start--;
        unsigned char low, high;
        if (!continues(text[start]))
            return start + lead((unsigned char)text[start], &low, &high) > limit ? start : limit;
    }
    return limit;
}

size_t utf8_next_start(const char *text, size_t n, size_t from) {
    size_t i = from;
    while (i < n && i < from + 4 && continues(text[i]))
        i++;
    return i;
}
