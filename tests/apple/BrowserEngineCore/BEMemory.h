/* In place of a header of Apple's SDK, whose framework is documented under BrowserEngineCore, "JIT compilation": the same
 * three functions, and toggles that the compiler sees as it sees Apple's: assembly that is inlined, calls the framework with
 * the place it was called from and a tag, and changes x0 to x8, x16, x17 and x30. (On arm64e Apple's also signs that place.)
 * Only tests have this folder on their include path. Hosts other than arm64 just call.
 */
#ifndef BE_MEMORY_H
#define BE_MEMORY_H

#if defined(__APPLE__)
#define BE_AVAILABLE __attribute__((availability(macos, introduced = 14.4)))
#define BE_SYMBOL(name) "_" name
#else
#define BE_AVAILABLE
#define BE_SYMBOL(name) name
#endif

#define BE_JIT_WRITE_PROTECT_TAG 0x4a4954

BE_AVAILABLE int be_memory_inline_jit_restrict_with_witness_supported(void);
BE_AVAILABLE void be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl(void);
BE_AVAILABLE void be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl(void);

#if defined(__aarch64__)
#define BE_CHANGED \
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x16", "x17", "x30", "memory", "cc"
#endif

BE_AVAILABLE __attribute__((always_inline)) static inline void be_memory_inline_jit_restrict_rwx_to_rw_with_witness(void) {
#if defined(__aarch64__)
    __asm__ volatile("adr x0, 1f\n\t"
                     "movz x1, %0\n\t"
                     "movk x1, %1, lsl #16\n\t"
                     "bl " BE_SYMBOL("be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl") "\n"
                     "1:"
                     :
                     : "i"(BE_JIT_WRITE_PROTECT_TAG & 0xffff), "i"(BE_JIT_WRITE_PROTECT_TAG >> 16)
                     : BE_CHANGED);
#else
    be_memory_inline_jit_restrict_rwx_to_rw_with_witness_impl();
#endif
}

BE_AVAILABLE __attribute__((always_inline)) static inline void be_memory_inline_jit_restrict_rwx_to_rx_with_witness(void) {
#if defined(__aarch64__)
    __asm__ volatile("bl " BE_SYMBOL("be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl") : : : BE_CHANGED);
#else
    be_memory_inline_jit_restrict_rwx_to_rx_with_witness_impl();
#endif
}

#endif
