/* Hands over a callback that is not in the list. */
#include <pthread.h>

#undef PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP
#define PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(callback) \
    static int harmless(void *context) { return context != NULL; } MODEL_LIST(__COUNTER__, harmless)
#include "codemem_apple_callback.c"
