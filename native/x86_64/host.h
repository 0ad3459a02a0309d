/* What the shared C code has to know about x86-64: the branch that is patched in generated code, the call that leaves it. */
#ifndef DR_HOST_H
#define DR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DR_HOST_NAME "x86_64"
#define DR_HOST_HOMES 11 /* home registers: enter.S */
#define DR_CODE_ALIGN 16u
#define DR_BRANCH_SIZE 4u    /* the rel32 of a jmp or jcc; a link's offset is that of the rel32 */

struct dr_branch {
    uint8_t bytes[DR_BRANCH_SIZE];
};

/* Encodes a branch whose target is `distance` bytes from the link's offset. */
static inline void dr_branch_encode(struct dr_branch *branch, int64_t distance) {
    int32_t relative = (int32_t)(distance - (int64_t)DR_BRANCH_SIZE); /* counted from the end of the instruction */
    memcpy(branch->bytes, &relative, sizeof relative);
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
