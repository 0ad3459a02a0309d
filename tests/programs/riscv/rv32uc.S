#include "test.h"
    begin

    .macro half value                   /* an instruction that is one, whatever the assembler makes of it */
    .2byte \value
    .endm

    test                                /* fields at their extremes */
    li a0, 0x12345678
    c.li a0, -32
    expect a0, -32
    c.li a0, 31
    expect a0, 31
    c.lui a0, 1
    expect a0, 0x1000
    c.lui a0, 0xfffff
    expect a0, 0xfffff000
    c.lui a0, 0xfffe0
    expect a0, 0xfffe0000
    c.lui a0, 31
    expect a0, 0x1f000

    test
    words 0x7fffffff, 0x80000000
    lw a0, 0(s0)
    c.addi a0, 1
    expect a0, 0x80000000
    c.addi a0, -32
    expect a0, 0x7fffffe0
    c.addi a0, 31
    expect a0, 0x7fffffff
    lw a0, 4(s0)
    c.srai a0, 31
    expect a0, -1
    c.srli a0, 31
    expect a0, 1
    c.slli a0, 31
    expect a0, 0x80000000
    c.andi a0, -32
    expect a0, 0x80000000
    c.andi a0, 31
    expect a0, 0

    test
    words 0x0ff0a5a5, 0xff00ff0f
    lw a0, 0(s0)
    lw a1, 4(s0)
    mv a2, a0
    c.and a2, a1
    expect a2, 0x0f00a505
    mv a2, a0
    c.or a2, a1
    expect a2, 0xfff0ffaf
    mv a2, a0
    c.xor a2, a1
    expect a2, 0xf0f05aaa
    mv a2, a0
    c.sub a2, a1
    expect a2, 0x10efa696
    c.sub a2, a2
    expect a2, 0
    c.mv a2, a0
    fail_unless eq, a2, a0
    c.add a2, a1
    expect a2, 0x0ef1a4b4
    c.add a2, a2
    expect a2, 0x1de34968

    test                                /* the stack pointer's own */
    mv s1, sp
    c.addi16sp sp, -512
    sub a0, s1, sp
    expect a0, 512
    c.addi16sp sp, 496
    sub a0, s1, sp
    expect a0, 16
    c.addi4spn a0, sp, 1020
    sub a0, a0, sp
    expect a0, 1020
    c.addi4spn a0, sp, 4
    sub a0, a0, sp
    expect a0, 4
    c.addi sp, 16
    fail_unless eq, s1, sp

    test
    words 1, 2
    .rept 64
    .pushsection .data
    .word 0x1000 + number
    .popsection
    .endr
    c.lw a0, 0(s0)
    expect a0, 1
    c.lw a1, 4(s0)
    expect a1, 2
    li a2, -5
    c.sw a2, 124(s0)
    lw a3, 124(s0)
    fail_unless eq, a2, a3
    mv a1, sp
    mv sp, s0
    c.lwsp a0, 4(sp)
    li a2, 77
    c.swsp a2, 252(sp)
    c.lwsp a3, 252(sp)
    c.lwsp ra, 0(sp)
    mv sp, a1
    expect a0, 2
    expect a3, 77
    expect ra, 1
    lw a0, 252(s0)
    expect a0, 77

    test                                /* branches: both ways, both directions */
    words 0, 1
    lw a0, 0(s0)
    lw a1, 4(s0)
    c.bnez a0, 9f
    c.beqz a1, 9f
    c.beqz a0, 2f
    j fail
3:  c.j 4f
    j fail
2:  c.bnez a1, 3b
    j fail
9:  j fail
4:

    test                                /* jumps; the link is the next instruction's address */
    .balign 4
1:  c.jal 2f
    j fail
2:  la a0, 1b + 2
    fail_unless eq, ra, a0
    la a1, 3f
4:  c.jalr a1
    j fail
3:  la a0, 4b + 2
    fail_unless eq, ra, a0
    la a1, 5f + 1                       /* the lowest bit is ignored */
    c.jr a1
    j fail
5:  la ra, 7f                           /* c.jalr reads ra before it writes it */
6:  c.jalr ra
    j fail
7:  la a0, 6b + 2
    fail_unless eq, ra, a0

    test                                /* long instructions at halves of words, and across a page */
    c.nop
    .option push
    .option norvc
    li a0, 1
    addi a0, a0, 2
    .option pop
    c.addi a0, 3
    expect a0, 6
    j 1f
    .balign 4096
    .skip 4096 - 2
1:  .option push
    .option norvc
    addi a0, a0, 0x123
    .option pop
    expect a0, 0x129

    test                                /* hints change nothing */
    li a0, 5
    half 0x0005                         /* c.nop 1 */
    half 0x4005                         /* c.li zero, 1 */
    half 0x6005                         /* c.lui zero, 1 */
    half 0x802a                         /* c.mv zero, a0 */
    half 0x902a                         /* c.add zero, a0 */
    half 0x0002                         /* c.slli zero, 0 */
    expect a0, 5
    expect zero, 0

    /* Reserved and not of RV32: illegal, and mtval has the bits, or 0 where the machine does not keep them. */
    .macro illegal bits
    traps 2, skip, half \bits
    li a0, \bits
    beq s7, a0, 4f
    fail_unless eq, s7, zero
4:
    .endm
    illegal 0x0000
    illegal 0x0004                      /* c.addi4spn with 0 */
    illegal 0x6101                      /* c.addi16sp with 0 */
    illegal 0x6501                      /* c.lui with 0 */
    illegal 0x4002                      /* c.lwsp zero */
    illegal 0x8002                      /* c.jr zero */
    illegal 0x8000                      /* no instruction */

    j pass
