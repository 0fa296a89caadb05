#include "runtime_bytecode.h"

unsigned char runtime_bytecode[] = {
#embed "runtime.bytecode"
};
const size_t runtime_bytecode_n = sizeof runtime_bytecode;
