/* Into and out of generated code (AAPCS64, 6.1: x19-x29 and sp belong to the caller, x18 to the platform).
 *
 * In generated code x28 points at dr_cpu.state, x27 at the guest's memory, w26 holds the budget and the home registers hold
 * guest registers, as `homes` tells: for each home, the word of `state`. Generated code leaves by `blr` to the exit stub;
 * x30 tells where it left.
 */
#if defined(__APPLE__)
#define SYMBOL(name) _##name
#define CFI(...) /* for one label at a time; unwinders follow x29 */
#else
#define SYMBOL(name) name
#define CFI(...) __VA_ARGS__
#endif

#define HOMES -128   /* offsets from state: native/abi.h; api.c checks them */
#define WINDOW -32
#define EXIT_PC -24
#define BUDGET -4
#define FRAME 96

.macro EACH_HOME action
    \action 0, w0
    \action 1, w1
    \action 2, w2
    \action 3, w3
    \action 4, w4
    \action 5, w5
    \action 6, w6
    \action 7, w7
    \action 8, w8
    \action 9, w9
    \action 10, w10
    \action 11, w11
    \action 12, w12
    \action 13, w13
    \action 14, w14
    \action 15, w15
    \action 16, w19
    \action 17, w20
    \action 18, w21
    \action 19, w22
    \action 20, w23
    \action 21, w24
.endm

.macro LOAD_HOME number, register
    ldurb w16, [x28, #(HOMES + \number)]
    ldr \register, [x28, w16, uxtw #2]
.endm

.macro STORE_HOME number, register
    ldurb w16, [x28, #(HOMES + \number)]
    str \register, [x28, w16, uxtw #2]
.endm

/* Two registers of the caller's in the frame, by their numbers, with where they are for unwinders. */
.macro SAVE first, second, offset
    stp x\first, x\second, [sp, #\offset]
    CFI(.cfi_offset \first, \offset - FRAME)
    CFI(.cfi_offset \second, \offset + 8 - FRAME)
.endm

.macro RESTORE first, second, offset
    ldp x\first, x\second, [sp, #\offset]
    CFI(.cfi_restore \first)
    CFI(.cfi_restore \second)
.endm

    .text
    .p2align 2

/* void dr_enter(uint32_t *state, const void *entry) */
    .globl SYMBOL(dr_enter)
SYMBOL(dr_enter):
    CFI(.cfi_startproc)
    stp x29, x30, [sp, #-FRAME]!
    CFI(.cfi_def_cfa_offset FRAME)
    CFI(.cfi_offset 29, 0 - FRAME)
    CFI(.cfi_offset 30, 8 - FRAME)
    mov x29, sp
    SAVE 19, 20, 16
    SAVE 21, 22, 32
    SAVE 23, 24, 48
    SAVE 25, 26, 64
    SAVE 27, 28, 80
    mov x28, x0
    mov x17, x1
    ldur x27, [x28, #WINDOW]
    mov x25, x27 /* always the window's base and a 32-bit number */
    ldur w26, [x28, #BUDGET]
    .globl SYMBOL(dr_entered)
SYMBOL(dr_entered):
    EACH_HOME LOAD_HOME
    br x17

    .globl SYMBOL(dr_exit)
SYMBOL(dr_exit):
    hint #34 /* bti c */
    stur x30, [x28, #EXIT_PC]
    stur w26, [x28, #BUDGET]
    .globl SYMBOL(dr_left)
SYMBOL(dr_left):
    EACH_HOME STORE_HOME
/* A fault handler has stored the homes and the budget and sends the thread here. */
    .globl SYMBOL(dr_exit_faulted)
SYMBOL(dr_exit_faulted):
    RESTORE 19, 20, 16
    RESTORE 21, 22, 32
    RESTORE 23, 24, 48
    RESTORE 25, 26, 64
    RESTORE 27, 28, 80
    ldp x29, x30, [sp], #FRAME
    CFI(.cfi_restore 29)
    CFI(.cfi_restore 30)
    CFI(.cfi_def_cfa_offset 0)
    ret
    CFI(.cfi_endproc)

#if defined(__linux__)
    .hidden dr_enter, dr_entered, dr_exit, dr_left, dr_exit_faulted
    .section .note.GNU-stack, "", %progbits
#endif
