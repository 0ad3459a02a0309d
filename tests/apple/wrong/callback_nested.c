/* Calls for a write in the callback. */
#include "policy.h"

static int write_checked(void *context);

#define dr_copy_records(to, start, end) \
    (pthread_jit_write_with_callback_np(write_checked, &checked), dr_copy_records(to, start, end))
#include "codemem_apple_callback.c"
