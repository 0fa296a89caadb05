/* The runtime's bundle (runtime/main.ts and what it imports), which the recipe makes; a NUL follows it. Not constant, so that it can be wiped when it's no longer
 * needed: pages of zeros are no part of an image. */
#ifndef GUEST_JS_RUNTIME_TEXT_H
#define GUEST_JS_RUNTIME_TEXT_H

#include <stddef.h>

extern unsigned char runtime_text[];
extern const size_t runtime_text_n;

#endif
