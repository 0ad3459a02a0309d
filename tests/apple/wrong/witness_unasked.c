/* Does not ask whether the toggles are supported. */
#include <BrowserEngineCore/BEMemory.h>

#pragma GCC diagnostic ignored "-Waddress"

int yes(void) {
    return 1;
}

#define be_memory_inline_jit_restrict_with_witness_supported yes
#include "codemem_apple_witness.c"
