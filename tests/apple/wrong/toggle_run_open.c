/* Opens the region before what was written runs. */
#include "policy.h"

#include <pthread.h>

static void flush_and_open(const struct dr_region *region, uint8_t *start, size_t length) {
    dr_flush_instructions(region, start, length);
    pthread_jit_write_protect_np(0);
}

#define dr_flush_instructions flush_and_open
#include "codemem_apple_toggle.c"
