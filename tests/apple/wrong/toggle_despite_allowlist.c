/* Uses the plain toggle in a process that may only use callbacks. */
#include "apple/entitlements.h"

#define dr_apple_entitlements() (struct dr_entitlements){.known = true}
#include "codemem_apple_toggle.c"
