/* Does not close the region. */
#include <BrowserEngineCore/BEMemory.h>

#define be_memory_inline_jit_restrict_rwx_to_rx_with_witness() (void)0
#include "codemem_apple_witness.c"
