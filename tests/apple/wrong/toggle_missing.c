/* Writes without opening the region. */
#define pthread_jit_write_protect_np(enabled) (void)(enabled)
#include "codemem_apple_toggle.c"
