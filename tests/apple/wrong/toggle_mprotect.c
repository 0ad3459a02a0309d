/* Makes the region writable with mprotect. */
#define pthread_jit_write_protect_np(enabled) \
    if (mprotect(region->run, region->size, PROT_READ | ((enabled) ? PROT_EXEC : PROT_WRITE))) \
        return "mprotect failed"
#include "codemem_apple_toggle.c"
