/* Flushes while the region is open. */
#include "policy.h"

#define dr_copy_records(to, start, end) \
    (dr_copy_records(to, start, end), dr_flush_instructions(region, to + ((const struct dr_record *)(start))->offset, 4))
#include "codemem_apple_toggle.c"
