#include "runtime_text.h"

unsigned char runtime_text[] = {
#embed "runtime.js"
    , 0};
const size_t runtime_text_n = sizeof runtime_text - 1;
