/* Leaves out a right that a MAP_JIT region has to have. */
#undef PROT_WRITE
#define PROT_WRITE 0
#include "codemem_apple_toggle.c"
