/* Opens the region again while it is open. */
#include "policy.h"

#include <BrowserEngineCore/BEMemory.h>

#define dr_copy_records(to, start, end) \
    (be_memory_inline_jit_restrict_rwx_to_rw_with_witness(), dr_copy_records(to, start, end))
#include "codemem_apple_witness.c"
