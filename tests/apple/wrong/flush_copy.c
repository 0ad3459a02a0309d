/* Flushes what was written from, not where it runs. */
#include "policy.h"

static void flush_copy(const struct dr_region *region, uint8_t *start, size_t length) {
    static uint8_t copy[64];
    (void)start;
    dr_flush_instructions(region, copy, length);
}

#define dr_flush_instructions flush_copy
#include "codemem_apple_toggle.c"
