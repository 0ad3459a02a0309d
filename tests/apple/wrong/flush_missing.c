/* Does not flush. */
#include "policy.h"

static void flush_nothing(const struct dr_region *region, uint8_t *start, size_t length) {
    (void)region, (void)region, (void)start, (void)length;
}

#define dr_flush_instructions flush_nothing
#include "codemem_apple_toggle.c"
