#include "test.h"
    begin

    /* The old word goes to rd, and the result to memory: with each register twice, and with rd zero. */
    .macro amo op, before, operand, after
    test
    words \before, \operand, \after, 0x5a5a5a5a
    li a4, \before
    lw a1, 4(s0)
    lw a5, 8(s0)
    \op a0, a1, (s0)
    lw a3, 0(s0)
    fail_unless eq, a0, a4
    fail_unless eq, a3, a5
    sw a4, 0(s0)
    mv a0, a1
    \op a0, a0, (s0)                /* rd is the operand */
    lw a3, 0(s0)
    fail_unless eq, a0, a4
    fail_unless eq, a3, a5
    sw a4, 0(s0)
    mv a2, s0
    \op a2, a1, (a2)                /* rd is the address */
    lw a3, 0(s0)
    fail_unless eq, a2, a4
    fail_unless eq, a3, a5
    sw a4, 0(s0)
    \op\().aqrl zero, a1, (s0)
    lw a3, 0(s0)
    fail_unless eq, a3, a5
    lw a3, 12(s0)
    expect a3, 0x5a5a5a5a
    .endm
    amo amoswap.w, 0x80000000, 0xfffff800, 0xfffff800
    amo amoadd.w, 0x80000000, 0xfffff800, 0x7ffff800
    amo amoadd.w, 0xffffffff, 0x00000001, 0x00000000
    amo amoxor.w, 0x80000000, 0xfffff801, 0x7ffff801
    amo amoand.w, 0x80000001, 0xfffff800, 0x80000000
    amo amoor.w, 0x80000001, 0xfffff800, 0xfffff801
    amo amomin.w, 0x80000000, 0x7fffffff, 0x80000000
    amo amomin.w, 0x00000000, 0xffffffff, 0xffffffff
    amo amomin.w, 0x00000005, 0x00000005, 0x00000005
    amo amomax.w, 0x80000000, 0x7fffffff, 0x7fffffff
    amo amomax.w, 0x00000000, 0xffffffff, 0x00000000
    amo amominu.w, 0x80000000, 0x7fffffff, 0x7fffffff
    amo amominu.w, 0x00000000, 0xffffffff, 0x00000000
    amo amomaxu.w, 0x80000000, 0x7fffffff, 0x80000000
    amo amomaxu.w, 0x00000000, 0xffffffff, 0xffffffff

    test                            /* a pair stores, and sc gives 0 */
    words 7, 0
    lr.w a0, (s0)
    expect a0, 7
    li a1, 9
    sc.w a2, a1, (s0)
    expect a2, 0
    lw a0, 0(s0)
    expect a0, 9

    test                            /* the reservation is used up */
    li a1, 11
    sc.w a2, a1, (s0)
    fail_unless ne, a2, zero
    lw a0, 0(s0)
    expect a0, 9

    test                            /* a reservation of another word is none */
    words 1, 2
    .rept 32
    .pushsection .data
    .word 0
    .popsection
    .endr
    lr.w a0, (s0)
    addi a3, s0, 128
    li a1, 13
    sc.w a2, a1, (a3)
    fail_unless ne, a2, zero
    lw a0, 0(a3)
    expect a0, 0

    test                            /* and a failed sc takes the reservation too */
    lr.w a0, (s0)
    sc.w a2, a1, (a3)
    sc.w a2, a1, (s0)
    fail_unless ne, a2, zero

    test                            /* rd of sc is its operand, and its address */
    words 1
    li a1, 17
    lr.w a0, (s0)
    sc.w a1, a1, (s0)
    expect a1, 0
    lw a0, 0(s0)
    expect a0, 17
    mv a1, s0
    lr.w a0, (a1)
    sc.w a1, a0, (a1)
    expect a1, 0
    lr.w.aq zero, (s0)
    sc.w.rl zero, a0, (s0)
    expect zero, 0

    test                            /* a loop, as everybody writes it */
    words 0
    li a2, 1000
1:  lr.w a0, (s0)
    addi a0, a0, 3
    sc.w a1, a0, (s0)
    bnez a1, 1b
    addi a2, a2, -1
    bnez a2, 1b
    lw a0, 0(s0)
    expect a0, 3000

    j pass
