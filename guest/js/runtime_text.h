/* The runtime's bundle (runtime/main.ts and what it imports), which the recipe makes; a NUL follows it. */
#ifndef GUEST_JS_RUNTIME_TEXT_H
#define GUEST_JS_RUNTIME_TEXT_H

#include <stddef.h>

extern const unsigned char runtime_text[];
extern const size_t runtime_text_n;

#endif
