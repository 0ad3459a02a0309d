/* What the shared C code has to know about x86-64: what links units in generated code, the call that leaves it. */
#ifndef DR_HOST_H
#define DR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DR_HOST_NAME "x86_64"
#define DR_HOST_HOMES 11 /* home registers: enter.S */
#define DR_CODE_ALIGN 64u /* a cache line: what units are entered by is fetched at once */
#define DR_BRANCH_SIZE 10u   /* what stands at a link */

struct dr_branch {
    uint8_t bytes[DR_BRANCH_SIZE];
};

static inline bool dr_branch_reaches(int32_t amount, int64_t distance) {
    (void)distance;
    return amount >= -127 && amount <= 127;
}

/* Takes the amount from the budget and goes to what is `distance` bytes from the link; to what follows, if the amount is more than
 * the budget has. add or sub [rbp + budget], imm8; jmp or jns rel32: two instructions, whatever it does. */
static inline void dr_branch_encode(struct dr_branch *branch, int32_t amount, int64_t distance) {
    static const uint8_t charge[] = {0x83, 0x6d, 0xfc, 0, 0x0f, 0x89, 0, 0, 0, 0};
    static const uint8_t refund[] = {0x83, 0x45, 0xfc, 0, 0x40, 0xe9, 0, 0, 0, 0}; /* an empty REX */
    static const uint8_t jump[] = {0xe9, 0, 0, 0, 0, 0x0f, 0x1f, 0x44, 0, 0};
    uint8_t at = amount ? 6 : 1;
    int32_t relative = (int32_t)(distance - at - (int64_t)sizeof relative);
    memcpy(branch->bytes, amount > 0 ? charge : amount ? refund : jump, DR_BRANCH_SIZE);
    if (amount)
        branch->bytes[3] = (uint8_t)(amount > 0 ? amount : -amount);
    memcpy(branch->bytes + at, &relative, sizeof relative);
}

/* What a link gives back that is not linked. */
static inline uint32_t dr_branch_refund(const uint8_t *code) {
    return code[0] == 0x83 ? code[3] : 0;
}

/* Makes a count that was emitted for counter n add to counter first + n. `at`: the displacement in it. */
static inline void dr_move_count(uint8_t *at, uint32_t first) {
    int32_t displacement;
    memcpy(&displacement, at, sizeof displacement);
    displacement += (int32_t)(first * sizeof(uint64_t));
    memcpy(at, &displacement, sizeof displacement);
}
#define DR_COUNT_SIZE 4u /* bytes of what is changed there */

#define DR_LINK_ALIGN 1u
#define DR_MAX_CODE (UINT32_C(1) << 30) /* rel32 */
#define DR_VERIFY dr_verify_x86_64
#define DR_PROT_BTI 0
#define DR_LONGEST_INSN 15u

/* How generated code leaves: lea rax, [behind]; jmp [rbp - 16]; behind: */
#define DR_EXIT_CALL 0x48, 0x8d, 0x05, 3, 0, 0, 0, 0xff, 0x65, 0xf0
#define DR_EXIT_CALL_SIZE 10u
struct dr_exit_call {
    uint32_t size;
    uint8_t code[DR_EXIT_CALL_SIZE];
};

static inline struct dr_exit_call dr_exit_call(uint32_t harden) {
    (void)harden;
    return (struct dr_exit_call){DR_EXIT_CALL_SIZE, {DR_EXIT_CALL}};
}

/* A unit that stores a number and leaves: mov dword ptr [rbp], number; the exit call */
struct dr_proof {
    uint32_t size;
    uint8_t code[7 + DR_EXIT_CALL_SIZE];
};

static inline struct dr_proof dr_proof(uint16_t number, uint32_t harden) {
    (void)harden;
    return (struct dr_proof){7 + DR_EXIT_CALL_SIZE,
                             {0xc7, 0x45, 0, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, DR_EXIT_CALL}};
}

static inline const void *dr_sign(const void *pointer, uint64_t context, uint32_t harden) {
    (void)context, (void)harden;
    return pointer;
}

static inline bool dr_is_authenticated_branch(const uint8_t *code) {
    (void)code;
    return false;
}

static inline const char *dr_harden_problem(uint32_t harden) {
    return harden ? "x86-64 code cannot be hardened" : NULL;
}

#endif
