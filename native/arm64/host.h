/* What the shared C code has to know about arm64: the branch that is patched in generated code, the call that leaves it. */
#ifndef DR_HOST_H
#define DR_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DR_HOST_NAME "arm64"
#define DR_HOST_HOMES 22 /* home registers: enter.S */
#define DR_CODE_ALIGN 16u
#define DR_EXIT_CALL_SIZE 8u /* ldur x16, [x28, #exit]; blr x16 */
#define DR_BRANCH_SIZE 4u    /* b; a link's offset is that of the instruction */
#define DR_BRANCH_OPCODE UINT32_C(0x14000000)
#define DR_BRANCH_FIELD UINT32_C(0x03ffffff)

struct dr_branch {
    uint8_t bytes[DR_BRANCH_SIZE];
};

/* Encodes a branch whose target is `distance` bytes from the link's offset (Arm ARM, B: imm26 words). */
static inline void dr_branch_encode(struct dr_branch *branch, int64_t distance) {
    uint32_t word = DR_BRANCH_OPCODE | ((uint32_t)(distance / 4) & DR_BRANCH_FIELD);
    memcpy(branch->bytes, &word, sizeof word);
}

#endif
