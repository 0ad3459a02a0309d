/* Forgets to close the region on one of two paths. */
#include "policy.h"

#define dr_copy_records(to, start, end) return (void)(to), (void)(start), (void)(end), "an error"
#include "codemem_apple_toggle.c"
