/* Does not ask for the entitlements. */
#include "apple/entitlements.h"

#define dr_apple_entitlements() (struct dr_entitlements){true, true, true}
#include "codemem_apple_callback.c"
