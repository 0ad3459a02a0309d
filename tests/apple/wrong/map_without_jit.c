/* Executable pages without MAP_JIT. */
#undef MAP_JIT
#define MAP_JIT 0
#include "codemem_apple_toggle.c"
