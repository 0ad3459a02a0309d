/* Unmaps the region while it is open. */
#undef munmap
#define munmap(start, size) (pthread_jit_write_protect_np(0), model_munmap(start, size))
#include "codemem_apple_toggle.c"
