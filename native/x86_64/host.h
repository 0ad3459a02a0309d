/* What the shared C code has to know about x86-64: the branch that is patched in generated code, the call that leaves it. */
#ifndef DR_HOST_H
#define DR_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DR_HOST_NAME "x86_64"
#define DR_HOST_HOMES 11 /* home registers: enter.S */
#define DR_CODE_ALIGN 16u
#define DR_EXIT_CALL_SIZE 3u /* call [rbp + disp8] */
#define DR_BRANCH_SIZE 4u    /* the rel32 of a jmp or jcc; a link's offset is that of the rel32 */

struct dr_branch {
    uint8_t bytes[DR_BRANCH_SIZE];
};

/* Encodes a branch whose target is `distance` bytes from the link's offset. */
static inline void dr_branch_encode(struct dr_branch *branch, int64_t distance) {
    int32_t relative = (int32_t)(distance - (int64_t)DR_BRANCH_SIZE); /* counted from the end of the instruction */
    memcpy(branch->bytes, &relative, sizeof relative);
}

#endif
