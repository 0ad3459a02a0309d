/* Closes the region that it has closed. */
#include <pthread.h>

static void close_twice(int enabled) {
    pthread_jit_write_protect_np(enabled);
    if (enabled)
        pthread_jit_write_protect_np(enabled);
}

#define pthread_jit_write_protect_np close_twice
#include "codemem_apple_toggle.c"
