/* macOS on Apple silicon, as far as MAP_JIT goes, for Linux: pthread_jit_write_protect_np(3), mmap(2), Security's SecTask.
 *
 * The policy files of native/ are compiled unchanged with `-include model.h`. What runs then is stricter than the hardware:
 *
 * - The region belongs to one thread at a time. In its write mode nothing in the region can be executed; otherwise nothing can
 *   be written.
 * - A page can be executed only while each of its bytes is what was last flushed at just that address.
 * - Toggles do not nest, and nothing is left in write mode.
 * - Only callbacks of the one list of the image are entered; as the image is loaded with dlopen, only with a late freeze.
 *
 * A rule that the system answers with an error is answered so, after a line on standard error; all others end the process.
 * The process to be modelled is described by the words of the environment variable MODEL: hardened, allow-jit, allowlist,
 * freeze-late, unsupported, witness, and macos=MAJOR.MINOR.
 */
#ifndef MODEL_H
#define MODEL_H

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>

#define MAP_JIT 0x0800 /* as on macOS; Linux has ignored this bit for decades (MAP_DENYWRITE) */

int pthread_jit_write_protect_supported_np(void);
void pthread_jit_write_protect_np(int enabled);
typedef int (*pthread_jit_write_callback_t)(void *);
int pthread_jit_write_with_callback_np(pthread_jit_write_callback_t callback, void *context);
void pthread_jit_write_freeze_callbacks_np(void);
void sys_icache_invalidate(void *start, size_t length);

/* Each use ends with NULL, so that a second list in the image shows. */
#define PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(...) MODEL_LIST(__COUNTER__, __VA_ARGS__)
#define MODEL_LIST(number, ...) MODEL_LIST_NAMED(number, __VA_ARGS__)
#define MODEL_LIST_NAMED(number, ...)                                                                                  \
    __attribute__((used, section("pth_jit_func"))) static const pthread_jit_write_callback_t model_list_##number[] = { \
        __VA_ARGS__, NULL}

/* The callbacks of this image; the last is NULL. */
extern const pthread_jit_write_callback_t model_callbacks[] __asm__("__start_pth_jit_func")
    __attribute__((weak, visibility("hidden")));
extern const pthread_jit_write_callback_t model_callbacks_end[] __asm__("__stop_pth_jit_func")
    __attribute__((weak, visibility("hidden")));

int model_available(const char *platforms);
void *model_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
int model_munmap(void *address, size_t length);
int model_mprotect(void *address, size_t length, int protection);
void *model_dlopen(const char *path, int mode);
void *model_dlsym(void *library, const char *name);

/* Called by the test driver wherever a policy has returned: nothing may be open. */
void model_check_closed(void);

#define __builtin_available(...) model_available(#__VA_ARGS__)
#define __builtin___clear_cache(start, end) sys_icache_invalidate(start, (size_t)((end) - (start)))
#define mmap model_mmap
#define munmap model_munmap
#define mprotect model_mprotect
#define dlopen model_dlopen
#define dlsym model_dlsym

#endif
