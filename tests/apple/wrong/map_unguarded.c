/* Calls what an old system does not have. */
#undef __builtin_available
#define __builtin_available(...) 1
#include "codemem_apple_toggle.c"
