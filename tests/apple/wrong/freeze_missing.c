/* Writes without having frozen the list. */
#define pthread_jit_write_freeze_callbacks_np() (void)0
#include "codemem_apple_callback.c"
