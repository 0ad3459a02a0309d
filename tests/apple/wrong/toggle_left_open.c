/* Does not close the region. */
#define pthread_jit_write_protect_np(enabled) ((enabled) ? (void)0 : pthread_jit_write_protect_np(enabled))
#include "codemem_apple_toggle.c"
