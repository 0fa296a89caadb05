/* Owns how foreign text appears in messages. Pure; any thread. */
#include "base/show.h"

#include "base/utf8.h"

#include <string.h>

static const char ELLIPSIS[] = "…";

/* Control characters, DEL and C1 controls (U+0080 to U+009F), which terminals obey too. */
static int is_control(const char *p, size_t length) {
    unsigned char c = (unsigned char)p[0];
    return c < 0x20 || c == 0x7F || (length == 2 && c == 0xC2 && (unsigned char)p[1] < 0xA0);
}

struct shown show(const char *text) {
    struct shown s;
    size_t to = 0, n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t length = utf8_step(text + i, n - i);
        if (to + 4 + sizeof ELLIPSIS > SHOW_MAX) {
            memcpy(s.text + to, ELLIPSIS, sizeof ELLIPSIS);
            return s;
        }
        if (length == 0 || is_control(text + i, length)) {
            s.text[to++] = '?';
        } else {
            memcpy(s.text + to, text + i, length);
            to += length;
        }
        i += length ? length : 1;
    }
    s.text[to] = '\0';
    return s;
}
