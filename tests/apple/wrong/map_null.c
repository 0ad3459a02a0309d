/* Takes a failed mmap for NULL. */
#undef MAP_FAILED
#define MAP_FAILED NULL
#include "codemem_apple_toggle.c"
