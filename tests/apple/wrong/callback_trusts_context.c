/* Checks a copy, and writes from what the caller can still change. */
#include "policy.h"

#include <string.h>

static const uint32_t *original;

#define memmove(to, from, length) (original = (from), memmove(to, from, length))
#define dr_copy_records(to, start, end) dr_copy_records(to, original, original + ((end) - (start)))
#include "codemem_apple_callback.c"
