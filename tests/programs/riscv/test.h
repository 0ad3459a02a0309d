/* Tests in the form of riscv-tests: machine mode from 0x80000000 on; the word at `tohost` gets 1 when all have passed, or the
 * number of the one that has not, times two, plus one. The number is in gp. Test n begins at the symbol test_n.
 *
 * A trap that is expected goes on at the address in s10, in machine mode; s7, s8, s9 are mtval, mepc, mcause. Another trap, or
 * one where s10 is 0, is a failure. Operands come from memory, so that no translator knows them.
 */
#define MIE 0x8
#define MPIE 0x80
#define MPP 0x1800
#define MPRV 0x20000
#define MSIE 0x8
#define MTIE 0x80

    .macro label number
test_\number:
    .endm

    .macro test                     /* the next number */
    .set number, number + 1
    li gp, number
    .altmacro
    label %number
    .noaltmacro
    .endm

    .macro fail_unless condition, a, b
    b\condition \a, \b, 99f
    j fail
99:
    .endm

    .macro expect register, value
    li t6, \value
    fail_unless eq, \register, t6
    .endm

    .macro begin
    .set number, 0
    .section .text.start, "ax"
    .globl _start
_start:
    la t0, 1f
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0               /* all memory is for user mode, where there are entries */
    li t0, 0x1f
    csrw pmpcfg0, t0
    .balign 4
1:  la t0, trap
    csrw mtvec, t0
    la sp, stack_top
    li s10, 0
    j main

    .balign 4
trap:
    csrr s9, mcause
    csrr s8, mepc
    csrr s7, mtval
    beqz s10, fail
    csrw mepc, s10
    li s10, 0
    bgez s9, 1f
    li t6, MPIE                     /* interrupts stay off behind one: its line is up still */
    csrc mstatus, t6
1:  li t6, MPP
    csrs mstatus, t6
    mret

pass:
    li gp, 1
    j 1f
fail:
    slli gp, gp, 1
    ori gp, gp, 1
1:
#ifdef FINISHER                         /* for machines without tohost: that of QEMU's board virt */
    srli t1, gp, 1
    slli t1, t1, 16
    li t0, 0x3333
    or t1, t1, t0
    li t0, 1
    bne gp, t0, 2f
    li t1, 0x5555
2:  li t0, 0x00100000
    sw t1, 0(t0)
#else
    la t0, tohost
    sw gp, 0(t0)
    sw zero, 4(t0)
#endif
    j 1b

    .section .tohost, "aw", @progbits
    .balign 64
    .globl tohost
    .type tohost, @object
    .size tohost, 8
tohost:
    .dword 0
    .globl fromhost
    .type fromhost, @object
    .size fromhost, 8
fromhost:
    .dword 0

    .bss
    .balign 16
    .space 1024
stack_top:
    .data
    .balign 16
    .text
    .globl main
main:
    .endm

    .macro words values:vararg      /* s0: their address */
    .pushsection .data
    .balign 4
words_\@:
    .word \values
    .popsection
    la s0, words_\@
    .endm

    /* Register with register: rd alone, rd that is rs1, rs2, and zero. */
    .macro rr op, result, a, b
    test
    words \a, \b, \result
    lw a1, 0(s0)
    lw a2, 4(s0)
    lw a3, 8(s0)
    \op a0, a1, a2
    fail_unless eq, a0, a3
    mv a0, a1
    \op a0, a0, a2
    fail_unless eq, a0, a3
    mv a0, a2
    \op a0, a1, a0
    fail_unless eq, a0, a3
    \op zero, a1, a2
    expect zero, 0
    .endm

    /* Both operands the same register. */
    .macro rs op, result, a
    test
    words \a, \result
    lw a1, 0(s0)
    lw a3, 4(s0)
    \op a0, a1, a1
    fail_unless eq, a0, a3
    \op a1, a1, a1
    fail_unless eq, a1, a3
    .endm

    .macro ri op, result, a, immediate
    test
    words \a, \result
    lw a1, 0(s0)
    lw a3, 4(s0)
    \op a0, a1, \immediate
    fail_unless eq, a0, a3
    \op a1, a1, \immediate
    fail_unless eq, a1, a3
    \op zero, a1, \immediate
    expect zero, 0
    .endm

    /* An instruction that traps: the registers of the trap must be these; value: skip, or a register with it. */
    .macro traps cause, value, instruction:vararg
    test
    la s10, 3f
2:  \instruction
    j fail
3:  expect s9, \cause
    la t6, 2b
    fail_unless eq, s8, t6
    .ifnc \value, skip
    fail_unless eq, s7, \value
    .endif
    .endm

    /* What follows is done in user mode. */
    .macro to_user
    la t6, 8f
    csrw mepc, t6
    li t6, MPP
    csrc mstatus, t6
    mret
8:
    .endm
