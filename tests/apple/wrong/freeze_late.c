/* Freezes the list after the first write. */
#include <pthread.h>

#include "apple/entitlements.h"

static int write_then_freeze(pthread_jit_write_callback_t callback, void *context) {
    pthread_jit_write_protect_np(0);
    pthread_jit_write_protect_np(1);
    pthread_jit_write_freeze_callbacks_np();
    return pthread_jit_write_with_callback_np(callback, context);
}

#define dr_apple_entitlements() (struct dr_entitlements){true, true, true}
#define pthread_jit_write_with_callback_np write_then_freeze
#define pthread_jit_write_freeze_callbacks_np() (void)0
#include "codemem_apple_callback.c"
