/* A region that other processes could write. */
#undef mmap
#define mmap(address, length, protection, flags, file, offset) \
    model_mmap(address, length, protection, ((flags) & ~MAP_PRIVATE) | MAP_SHARED, file, offset)
#include "codemem_apple_toggle.c"
