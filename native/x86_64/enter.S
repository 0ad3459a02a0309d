/* Into and out of generated code (System V AMD64 ABI, 3.2.1: rbx rbp r12-r15 belong to the caller).
 *
 * In generated code rbp points at dr_cpu.state and eleven home registers hold guest registers, as `homes` tells: for each
 * home, the word of `state`. Generated code leaves by a jump to the exit stub; rax tells where it left. A call, to
 * which no return answers, would make the processor predict all returns that follow wrongly.
 */
#if defined(__APPLE__)
#define SYMBOL(name) _##name
#else
#define SYMBOL(name) name
#endif

#define HOMES -128   /* offsets from state: native/abi.h; api.c checks them */
#define EXIT_PC -24

.macro EACH_HOME action
    \action 0, ebx
    \action 1, esi
    \action 2, edi
    \action 3, r8d
    \action 4, r9d
    \action 5, r10d
    \action 6, r11d
    \action 7, r12d
    \action 8, r13d
    \action 9, r14d
    \action 10, r15d
.endm

/* A register of the caller's, by its number in DWARF (System V AMD64 ABI, figure 3.36), with where it is for unwinders. */
.macro SAVE register, number
    push \register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \number, 0
.endm

.macro RESTORE register, number
    pop \register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \number
.endm

.macro LOAD_HOME number, register
    movzx eax, byte ptr [rbp + HOMES + \number]
    mov \register, dword ptr [rbp + rax * 4]
.endm

.macro STORE_HOME number, register
    movzx eax, byte ptr [rbp + HOMES + \number]
    mov dword ptr [rbp + rax * 4], \register
.endm

    .intel_syntax noprefix
    .text

/* void dr_enter(uint32_t *state, const void *entry) */
    .globl SYMBOL(dr_enter)
SYMBOL(dr_enter):
    .cfi_startproc
    SAVE rbp, 6
    SAVE rbx, 3
    SAVE r12, 12
    SAVE r13, 13
    SAVE r14, 14
    SAVE r15, 15
    mov rbp, rdi
    mov rdx, rsi
    EACH_HOME LOAD_HOME
    .globl SYMBOL(dr_entered)
SYMBOL(dr_entered):
    jmp rdx

    .globl SYMBOL(dr_exit), SYMBOL(dr_left)
SYMBOL(dr_exit):
SYMBOL(dr_left):
    mov qword ptr [rbp + EXIT_PC], rax
    EACH_HOME STORE_HOME
/* A fault handler has stored the homes and sends the thread here. */
    .globl SYMBOL(dr_exit_faulted)
SYMBOL(dr_exit_faulted):
    RESTORE r15, 15
    RESTORE r14, 14
    RESTORE r13, 13
    RESTORE r12, 12
    RESTORE rbx, 3
    RESTORE rbp, 6
    ret
    .cfi_endproc

#if defined(__linux__)
    .hidden dr_enter, dr_entered, dr_exit, dr_left, dr_exit_faulted
    .section .note.GNU-stack, "", @progbits
#endif
