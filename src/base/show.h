/* Text of users and guests, made fit for a message: short, one line, no terminal control. */
#ifndef BASE_SHOW_H
#define BASE_SHOW_H

enum { SHOW_MAX = 128 };

struct shown {
    char text[SHOW_MAX];
};

/* show("…").text lives until the end of the full expression that it's in, long enough for error_set's arguments. */
struct shown show(const char *text);

#endif
