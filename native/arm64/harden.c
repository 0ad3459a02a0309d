/* Whether landing pads (FEAT_BTI) and signed pointers (FEAT_PAuth) work in this process. */
#include "host.h"

#if defined(__linux__)

#include <sys/auxv.h>

#define CPU_HAS_PAC (1UL << 30) /* AT_HWCAP: Linux, asm/hwcap.h */
#define CPU_HAS_BTI (1UL << 17) /* AT_HWCAP2 */

const char *dr_harden_problem(uint32_t harden) {
    if (harden & DR_PAC && !(getauxval(AT_HWCAP) & CPU_HAS_PAC))
        return "the processor or the system has no pointer authentication";
    if (harden & DR_BTI && !(getauxval(AT_HWCAP2) & CPU_HAS_BTI))
        return "the processor or the system has no landing pads (BTI)";
    return NULL;
}

#else

const char *dr_harden_problem(uint32_t harden) {
    return harden ? "macOS offers it to arm64e programs alone" : NULL;
}

#endif
