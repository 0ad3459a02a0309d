/* Goes on where the system has no write protection. */
#include <pthread.h>

#define pthread_jit_write_protect_supported_np() (pthread_jit_write_protect_supported_np(), 1)
#include "codemem_apple_toggle.c"
