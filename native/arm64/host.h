/* What the shared C code has to know about arm64: what links units in generated code, the call that leaves it. */
#ifndef DR_HOST_H
#define DR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "abi.h"

#define DR_HOST_NAME "arm64"
#define DR_HOST_HOMES 22 /* home registers: enter.S */
#define DR_HOST_REGISTERS 25 /* with those in which units compute */
#define DR_CODE_ALIGN 16u
#define DR_BRANCH_SIZE 8u    /* what stands at a link */
#define DR_ADD_BUDGET UINT32_C(0x1100035a)  /* add w26, w26, #0 */
#define DR_SUBS_BUDGET UINT32_C(0x7100035a) /* subs w26, w26, #0 */
#define DR_B UINT32_C(0x14000000)
#define DR_B_PL UINT32_C(0x54000005)
#define DR_NEAR (INT64_C(1) << 20) /* bytes, either way: imm19 words */

struct dr_branch {
    uint8_t bytes[DR_BRANCH_SIZE];
};

static inline bool dr_branch_reaches(int32_t amount, int64_t distance) {
    return amount <= 0 || (distance < DR_NEAR && distance > -DR_NEAR);
}

/* b to what is `distance` bytes away (Arm ARM, B: imm26 words). */
static inline uint32_t dr_jump_word(int64_t distance) {
    return DR_B | ((uint32_t)(distance / 4) & UINT32_C(0x03ffffff));
}

/* Takes the amount from the budget and goes to what is `distance` bytes from the link; to what follows, if the amount is more than
 * the budget has. add and b, or subs and b.pl (imm19 words); a b alone comes twice. */
static inline void dr_branch_encode(struct dr_branch *branch, int32_t amount, int64_t distance) {
    int64_t second = distance - 4;
    uint32_t words[] = {dr_jump_word(distance), dr_jump_word(second)};
    if (amount)
        words[0] = amount > 0 ? DR_SUBS_BUDGET | (uint32_t)amount << 10 : DR_ADD_BUDGET | (uint32_t)-amount << 10;
    if (amount > 0)
        words[1] = DR_B_PL | ((uint32_t)(second / 4) & UINT32_C(0x7ffff)) << 5;
    memcpy(branch->bytes, words, sizeof words);
}

/* What a link gives back that is not linked. */
static inline uint32_t dr_branch_refund(const uint8_t *code) {
    uint32_t word;
    memcpy(&word, code, sizeof word);
    return word >> 24 == DR_ADD_BUDGET >> 24 ? word >> 10 & UINT32_C(0xfff) : 0;
}

/* add x16, x28, #page, lsl #12; ldr x17, [x16, #place]; add x17, x17, #1; str x17, [x16, #place] */
#define DR_COUNT_SIZE 16u
#define DR_IMM12 UINT32_C(0xfff)

/* Makes a count that was emitted for counter n add to counter first + n. */
static inline void dr_move_count(uint8_t *at, uint32_t first) {
    uint32_t words[DR_COUNT_SIZE / 4];
    memcpy(words, at, sizeof words);
    uint32_t offset = (words[0] >> 10 & DR_IMM12) << 12;
    offset += ((words[1] >> 10 & DR_IMM12) + first) * (uint32_t)sizeof(uint64_t);
    uint32_t place = (offset & DR_IMM12) / (uint32_t)sizeof(uint64_t);
    words[0] = (words[0] & ~(DR_IMM12 << 10)) | offset >> 12 << 10;
    words[1] = (words[1] & ~(DR_IMM12 << 10)) | place << 10;
    words[3] = (words[3] & ~(DR_IMM12 << 10)) | place << 10;
    memcpy(at, words, sizeof words);
}

#define DR_LINK_ALIGN 4u
#define DR_MAX_CODE (UINT32_C(1) << 27) /* imm26 words */
#define DR_VERIFY dr_verify_arm64
#define DR_LONGEST_INSN 4u
#define DR_PROT_BTI 0x10 /* Linux, asm/mman.h */

#define DR_BTI_J UINT32_C(0xd503249f)       /* bti j: does nothing where there is no BTI */
#define DR_LOAD_EXIT UINT32_C(0xf85f0390)   /* ldur x16, [x28, #-16] */
#define DR_CALL_EXIT UINT32_C(0xd63f0200)   /* blr x16 */
#define DR_EXIT_CONTEXT UINT32_C(0xd1004391) /* sub x17, x28, #16 */
#define DR_CALL_SIGNED UINT32_C(0xd73f0a11) /* blraa x16, x17 */

/* How generated code leaves. */
struct dr_exit_call {
    uint32_t size;
    uint8_t code[12];
};

static inline struct dr_exit_call dr_exit_call(uint32_t harden) {
    static const uint32_t plain[] = {DR_LOAD_EXIT, DR_CALL_EXIT};
    static const uint32_t authenticated[] = {DR_LOAD_EXIT, DR_EXIT_CONTEXT, DR_CALL_SIGNED};
    struct dr_exit_call call = {harden & DR_PAC ? sizeof authenticated : sizeof plain, {0}};
    memcpy(call.code, harden & DR_PAC ? authenticated : plain, call.size);
    return call;
}

/* A unit that stores a number and leaves: bti j; movz w16, #number; str w16, [x28]; the exit call */
struct dr_proof {
    uint32_t size;
    uint8_t code[24];
};

static inline struct dr_proof dr_proof(uint16_t number, uint32_t harden) {
    const uint32_t words[] = {DR_BTI_J, UINT32_C(0x52800010) | (uint32_t)number << 5, UINT32_C(0xb9000390)};
    const uint32_t *first = harden & DR_BTI ? words : words + 1;
    uint32_t size = (uint32_t)((const uint8_t *)(words + 3) - (const uint8_t *)first);
    struct dr_exit_call call = dr_exit_call(harden);
    struct dr_proof proof = {size + call.size, {0}};
    memcpy(proof.code, first, size);
    memcpy(proof.code + size, call.code, call.size);
    return proof;
}

/* Signs a code pointer with key A for a context (pacia1716, which does nothing where there is no pointer authentication). */
static inline const void *dr_sign(const void *pointer, uint64_t context, uint32_t harden) {
    register const void *signed_pointer __asm__("x17") = pointer;
    register uint64_t modifier __asm__("x16") = context;
    if (!(harden & DR_PAC))
        return pointer;
    __asm__("hint #8" : "+r"(signed_pointer) : "r"(modifier));
    return signed_pointer;
}

/* braa, blraa (Arm ARM C6.2) */
static inline bool dr_is_authenticated_branch(const uint8_t *code) {
    uint32_t word;
    memcpy(&word, code, sizeof word);
    return (word & UINT32_C(0xffdffc00)) == UINT32_C(0xd71f0800);
}

/* Why the processor or the system cannot do it; NULL: they can. */
const char *dr_harden_problem(uint32_t harden);

#endif
