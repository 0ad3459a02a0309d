/* Does not flush the last byte. */
#include "policy.h"

static void flush_short(const struct dr_region *region, uint8_t *start, size_t length) {
    dr_flush_instructions(region, start, length - 1);
}

#define dr_flush_instructions flush_short
#include "codemem_apple_toggle.c"
