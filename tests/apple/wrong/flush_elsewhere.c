/* Flushes another place of the region. */
#include "policy.h"

static void flush_elsewhere(const struct dr_region *region, uint8_t *start, size_t length) {
    dr_flush_instructions(region, start + length, length);
}

#define dr_flush_instructions flush_elsewhere
#include "codemem_apple_toggle.c"
