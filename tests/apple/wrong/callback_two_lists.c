/* Has a second list of callbacks. */
#include "codemem_apple_callback.c"

static int another(void *context) {
    return context != NULL;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(another);
