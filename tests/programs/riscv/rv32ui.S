#include "test.h"
    begin

    rr add, 0x00000000, 0x00000000, 0x00000000
    rr add, 0x00000003, 0x00000001, 0x00000002
    rr add, 0x80000000, 0x7fffffff, 0x00000001
    rr add, 0x7fffffff, 0x80000000, 0xffffffff
    rr add, 0xfffffffe, 0xffffffff, 0xffffffff
    rs add, 0x00000000, 0x80000000
    rr sub, 0x00000001, 0x00000003, 0x00000002
    rr sub, 0x7fffffff, 0x80000000, 0x00000001
    rr sub, 0x80000000, 0x00000000, 0x80000000
    rs sub, 0x00000000, 0x12345678
    rr and, 0x0f000f00, 0xff00ff00, 0x0f0f0f0f
    rs and, 0xdeadbeef, 0xdeadbeef
    rr or, 0xff0fffff, 0xff00f0f0, 0x000f0f0f
    rs or, 0xdeadbeef, 0xdeadbeef
    rr xor, 0xf00ff00f, 0xff00ff00, 0x0f0f0f0f
    rs xor, 0x00000000, 0xdeadbeef
    rr slt, 1, 0x80000000, 0x7fffffff
    rr slt, 0, 0x7fffffff, 0x80000000
    rr slt, 0, 0x00000005, 0x00000005
    rr slt, 1, 0xffffffff, 0x00000000
    rs slt, 0, 0x80000000
    rr sltu, 0, 0x80000000, 0x7fffffff
    rr sltu, 1, 0x7fffffff, 0x80000000
    rr sltu, 0, 0xffffffff, 0xffffffff
    rr sltu, 1, 0x00000000, 0xffffffff
    rs sltu, 0, 0xffffffff

    /* Only the five low bits of a shift count. */
    rr sll, 0x00000001, 0x00000001, 0
    rr sll, 0x80000000, 0x00000001, 31
    rr sll, 0x00000001, 0x00000001, 32
    rr sll, 0x80000000, 0xffffffff, 0xffffffff
    rr sll, 0x48484000, 0x21212121, 0xffffffee
    rs sll, 0x00220000, 0x00000011
    rr srl, 0x00000001, 0x80000000, 31
    rr srl, 0x80000000, 0x80000000, 32
    rr srl, 0x01ffffff, 0xffffffff, 7
    rr srl, 0x00000001, 0xffffffff, 0xffffffff
    rr sra, 0xffffffff, 0x80000000, 31
    rr sra, 0x80000000, 0x80000000, 32
    rr sra, 0xff000000, 0x80000000, 7
    rr sra, 0x00ffffff, 0x7fffffff, 7
    rr sra, 0x00000000, 0x7fffffff, 0xffffffff

    ri addi, 0x7fffffff, 0x80000000, -1
    ri addi, 0x80000000, 0x7ffff801, 2047
    ri addi, 0x7ffff800, 0x80000000, -2048
    ri addi, 0x00000005, 0x00000005, 0
    ri andi, 0xfffff800, 0xffffffff, -2048
    ri andi, 0x000000ff, 0xdeadbeff, 255
    ri ori, 0xffffffff, 0x00000000, -1
    ri ori, 0x000007ff, 0x00000000, 2047
    ri xori, 0x21524110, 0xdeadbeef, -1
    ri xori, 0xdeadb910, 0xdeadbeef, 0x7ff
    ri slti, 1, 0x80000000, -2048
    ri slti, 0, 0x00000000, -1
    ri slti, 1, 0xfffff7ff, -2048
    ri sltiu, 1, 0x00000000, -1
    ri sltiu, 0, 0xffffffff, -1
    ri sltiu, 1, 0x00000000, 1
    ri sltiu, 0, 0x00000001, 1
    ri slli, 0x80000000, 0xffffffff, 31
    ri slli, 0xffffffff, 0xffffffff, 0
    ri srli, 0x00000001, 0xffffffff, 31
    ri srli, 0xffffffff, 0xffffffff, 0
    ri srai, 0xffffffff, 0x80000000, 31
    ri srai, 0x00000000, 0x7fffffff, 31
    ri srai, 0x80000000, 0x80000000, 0

    test
    lui a0, 0xfffff
    expect a0, 0xfffff000
    lui a0, 0
    expect a0, 0
    lui zero, 1
    expect zero, 0

    test
    .option push
    .option norvc
    .balign 4
1:  auipc a0, 0x12345
    la a1, 1b
    sub a0, a0, a1
    expect a0, 0x12345000
2:  auipc a0, 0xfffff
    la a1, 2b
    sub a0, a1, a0
    expect a0, 0x1000

    /* Jumps: where to, and what the link is. */
    test
1:  jal a0, 2f
    j fail
2:  la a1, 1b + 4
    fail_unless eq, a0, a1

    test
    la a1, 2f
1:  jalr a0, 0(a1)
    j fail
2:  la a2, 1b + 4
    fail_unless eq, a0, a2

    test                            /* the target is read before the link is written, and its lowest bit is ignored */
    la a0, 2f
1:  jalr a0, 1(a0)
    j fail
2:  la a2, 1b + 4
    fail_unless eq, a0, a2

    test
    la a0, 2f + 2048
    jalr zero, -2048(a0)
    j fail
2:  expect zero, 0

    test                            /* backwards, by a return address */
    j 2f
1:  j 3f
2:  la ra, 1b
    ret
    j fail
3:
    .option pop

    .macro branch op, taken, a, b
    test
    words \a, \b
    lw a1, 0(s0)
    lw a2, 4(s0)
    .if \taken
    b\op a1, a2, 2f
    j fail
4:  b\op a1, a2, 3f
    j fail
2:  b\op a1, a2, 4b
    j fail
3:
    .else
    b\op a1, a2, 2f
    j 3f
2:  j fail
3:  b\op a1, a2, 2b
    .endif
    .endm
    branch eq, 1, 5, 5
    branch eq, 0, 5, 6
    branch ne, 1, 0x80000000, 0
    branch ne, 0, 0xffffffff, 0xffffffff
    branch lt, 1, 0x80000000, 0x7fffffff
    branch lt, 0, 0x7fffffff, 0x80000000
    branch lt, 0, 7, 7
    branch ge, 1, 7, 7
    branch ge, 1, 0, 0xffffffff
    branch ge, 0, 0xffffffff, 0
    branch ltu, 1, 0x7fffffff, 0x80000000
    branch ltu, 0, 0xffffffff, 0
    branch ltu, 0, 7, 7
    branch geu, 1, 0xffffffff, 0
    branch geu, 1, 7, 7
    branch geu, 0, 0, 0xffffffff

    .macro loads op, offset, result
    test
    words 0xff00ff00, 0x80f17f0e, 0x0ff0a55a
    addi a1, s0, 4
    \op a0, \offset(a1)
    li a3, \result
    fail_unless eq, a0, a3
    \op a1, \offset(a1)
    fail_unless eq, a1, a3
    \op zero, \offset(s0)
    expect zero, 0
    .endm
    loads lb, 0, 0x0000000e
    loads lb, 3, 0xffffff80
    loads lb, -1, 0xffffffff
    loads lbu, 3, 0x00000080
    loads lbu, -3, 0x000000ff
    loads lh, 0, 0x00007f0e
    loads lh, 2, 0xffff80f1
    loads lhu, 2, 0x000080f1
    loads lhu, -4, 0x0000ff00
    loads lw, 0, 0x80f17f0e
    loads lw, 4, 0x0ff0a55a
    loads lw, -4, 0xff00ff00
    /* Misaligned, which this machine does. */
    loads lh, 1, 0xfffff17f
    loads lhu, 3, 0x00005a80
    loads lw, 1, 0x5a80f17f
    loads lw, 2, 0xa55a80f1
    loads lw, -1, 0xf17f0eff

    .macro stores op, offset, first, second
    test
    words 0x11111111, 0x22222222, 0xfedcba98
    addi a1, s0, 4
    lw a2, 8(s0)
    \op a2, \offset(a1)
    lw a3, 0(s0)
    lw a4, 4(s0)
    expect a3, \first
    expect a4, \second
    .endm
    stores sb, 0, 0x11111111, 0x22222298
    stores sb, 3, 0x11111111, 0x98222222
    stores sb, -1, 0x98111111, 0x22222222
    stores sh, 0, 0x11111111, 0x2222ba98
    stores sh, 2, 0x11111111, 0xba982222
    stores sh, -2, 0xba981111, 0x22222222
    stores sw, 0, 0x11111111, 0xfedcba98
    stores sw, -4, 0xfedcba98, 0x22222222
    stores sh, 1, 0x11111111, 0x22ba9822
    stores sh, -1, 0x98111111, 0x222222ba
    stores sw, -1, 0x98111111, 0x22fedcba
    stores sw, -2, 0xba981111, 0x2222fedc

    test
    fence
    fence rw, w
    fence.tso
    .word 0x0100000f                /* pause, a hint */

    /* Code that is stored is what runs after fence.i. */
    .macro patched
    la a1, 2f
    lw a2, 0(a0)
    sw a2, 0(a1)
    fence.i
    .option push
    .option norvc
    .balign 4
2:  li a3, 1
    .option pop
    .endm
    .pushsection .data
    .balign 4
code:
    .option push
    .option norvc
    li a3, 42
    li a3, -7
    .option pop
    .popsection
    test
    la a0, code
    patched
    expect a3, 42
    test                            /* and again at the same place, when it has run before */
    la a0, code
    li s1, 2
3:  patched
    addi a0, a0, 4
    addi s1, s1, -1
    bnez s1, 3b
    expect a3, -7

    j pass
