/* Does not ask whether the system has write protection. */
#define pthread_jit_write_protect_supported_np() 1
#include "codemem_apple_toggle.c"
