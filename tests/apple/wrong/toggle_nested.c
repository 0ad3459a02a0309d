/* Opens the region again while it is open. */
#include "policy.h"

#define dr_copy_records(to, start, end) (pthread_jit_write_protect_np(0), dr_copy_records(to, start, end))
#include "codemem_apple_toggle.c"
