/* Neither asks for the entitlements nor freezes the list. */
#include "apple/entitlements.h"

#define dr_apple_entitlements() (struct dr_entitlements){true, true, true}
#define pthread_jit_write_freeze_callbacks_np() (void)0
#include "codemem_apple_callback.c"
