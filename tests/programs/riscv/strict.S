#include "test.h"
    /* Where the manual leaves a choice, and what QEMU 7.2 does otherwise than the manual. */
    begin

    test                                /* misa tells of B, too */
    csrr a0, misa
    expect a0, 0x40101107

    test                                /* pcs are even */
    li a0, -1
    csrw mepc, a0
    csrr a1, mepc
    expect a1, -2

    test                                /* mret to user mode clears MPRV */
    li a0, MPRV
    csrs mstatus, a0
    la s10, 1f
    to_user
    ecall
1:  csrr a1, mstatus
    li a0, MPRV
    and a1, a1, a0
    expect a1, 0

    /* There is no supervisor mode, nor anything to hand over to. */
    traps 2, skip, csrr a0, medeleg
    traps 2, skip, csrr a0, mideleg
    traps 2, skip, .4byte 0x12000073    /* sfence.vma */

    test                                /* there is no entry of physical memory protection */
    li a0, -1
    csrw pmpaddr0, a0
    csrr a1, pmpaddr0
    expect a1, 0
    csrr a1, pmpcfg0
    expect a1, 0

    test                                /* a carry goes to the high half */
    li a0, -1
    csrw minstret, a0
    csrw minstreth, zero
    nop
    csrr a0, minstreth
    expect a0, 1
    csrw mcycleh, zero
    csrw mcycle, zero
    csrr a0, mcycle
    li a1, 10000
    fail_unless ltu, a0, a1
    csrr a0, mcycleh
    expect a0, 0

    /* Atomics that are misaligned trap, also a store-conditional that would fail. */
    words 1, 2
    addi a1, s0, 2
    traps 4, a1, lr.w a0, (a1)
    traps 6, a1, sc.w a0, a2, (a1)
    traps 6, a1, amoadd.w a0, a2, (a1)
    addi a1, s0, 1
    traps 6, a1, amoswap.w a0, a2, (a1)
    li a1, 64                           /* nothing is there: those that read and write fault as stores */
    traps 5, a1, lr.w a0, (a1)
    traps 7, a1, amoor.w a0, a2, (a1)
    test
    lw a0, 0(s0)
    expect a0, 1
    lw a0, 4(s0)
    expect a0, 2

    j pass
