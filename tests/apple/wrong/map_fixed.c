/* A region at an address of its own choice. */
#undef mmap
#define mmap(address, length, protection, flags, file, offset) \
    model_mmap(address, length, protection, (flags) | MAP_FIXED, file, offset)
#include "codemem_apple_toggle.c"
