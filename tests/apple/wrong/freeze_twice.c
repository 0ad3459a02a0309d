/* Freezes the list whenever a region is mapped. */
#include <pthread.h>

#define pthread_jit_write_freeze_callbacks_np() \
    (pthread_jit_write_freeze_callbacks_np(), pthread_jit_write_freeze_callbacks_np())
#include "codemem_apple_callback.c"
