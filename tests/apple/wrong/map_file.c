/* A region that is a file. */
#include <unistd.h>

#undef mmap
#define mmap(address, length, protection, flags, file, offset) \
    model_mmap(address, length, protection, (flags) & ~MAP_ANONYMOUS, STDIN_FILENO, offset)
#include "codemem_apple_toggle.c"
