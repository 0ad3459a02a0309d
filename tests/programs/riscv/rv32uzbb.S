#include "test.h"
    .option arch, +zbb
    begin

    /* One operand: rd alone, rd that is rs1, and zero. */
    .macro r op, result, a
    test
    words \a, \result
    lw a1, 0(s0)
    lw a3, 4(s0)
    \op a0, a1
    fail_unless eq, a0, a3
    \op zero, a1
    expect zero, 0
    \op a1, a1
    fail_unless eq, a1, a3
    .endm

    rr andn, 0x0f000f00, 0xff00ff00, 0xf0f0f0f0
    rr andn, 0x00000000, 0xffffffff, 0xffffffff
    rr andn, 0xffffffff, 0xffffffff, 0x00000000
    rs andn, 0x00000000, 0x12345678
    rr orn, 0xff0fff0f, 0xff00ff00, 0xf0f0f0f0
    rr orn, 0xffffffff, 0x00000000, 0x00000000
    rr orn, 0x00000000, 0x00000000, 0xffffffff
    rs orn, 0xffffffff, 0x12345678
    rr xnor, 0xf00ff00f, 0xff00ff00, 0xf0f0f0f0
    rr xnor, 0xffffffff, 0x00000000, 0x00000000
    rr xnor, 0x00000000, 0x00000000, 0xffffffff
    rs xnor, 0xffffffff, 0x12345678

    r clz, 32, 0x00000000
    r clz, 31, 0x00000001
    r clz, 0, 0x80000000
    r clz, 0, 0xffffffff
    r clz, 1, 0x7fffffff
    r clz, 15, 0x00010003
    r ctz, 32, 0x00000000
    r ctz, 0, 0x00000001
    r ctz, 31, 0x80000000
    r ctz, 0, 0xffffffff
    r ctz, 15, 0xffff8000
    r ctz, 16, 0x00030000
    r cpop, 0, 0x00000000
    r cpop, 1, 0x00000001
    r cpop, 1, 0x80000000
    r cpop, 32, 0xffffffff
    r cpop, 16, 0x5555aaaa
    r cpop, 9, 0x03e11101

    r sext.b, 0x00000000, 0x00000000
    r sext.b, 0x0000007f, 0xffffff7f
    r sext.b, 0xffffff80, 0x00000080
    r sext.b, 0xffffffff, 0x000000ff
    r sext.h, 0x00007fff, 0xffff7fff
    r sext.h, 0xffff8000, 0x00008000
    r sext.h, 0xffffffff, 0x0000ffff
    r zext.h, 0x00007fff, 0xffff7fff
    r zext.h, 0x00008000, 0x80008000
    r zext.h, 0x0000ffff, 0xffffffff

    r rev8, 0x00000000, 0x00000000
    r rev8, 0x78563412, 0x12345678
    r rev8, 0x01000080, 0x80000001
    r orc.b, 0x00000000, 0x00000000
    r orc.b, 0xffffffff, 0x01010101
    r orc.b, 0xffffffff, 0x80408001
    r orc.b, 0xff0000ff, 0x80000001
    r orc.b, 0x00ffff00, 0x007f8000
    r orc.b, 0xffff00ff, 0xff010010

    rr min, 0xffffffff, 0xffffffff, 0x00000001
    rr min, 0x80000000, 0x7fffffff, 0x80000000
    rr min, 0x00000007, 0x00000007, 0x00000007
    rs min, 0x80000000, 0x80000000
    rr minu, 0x00000001, 0xffffffff, 0x00000001
    rr minu, 0x7fffffff, 0x7fffffff, 0x80000000
    rs minu, 0xffffffff, 0xffffffff
    rr max, 0x00000001, 0xffffffff, 0x00000001
    rr max, 0x7fffffff, 0x7fffffff, 0x80000000
    rs max, 0x80000000, 0x80000000
    rr maxu, 0xffffffff, 0xffffffff, 0x00000001
    rr maxu, 0x80000000, 0x7fffffff, 0x80000000
    rs maxu, 0x00000005, 0x00000005

    rr rol, 0x00000001, 0x00000001, 0x00000000
    rr rol, 0x00000002, 0x00000001, 0x00000001
    rr rol, 0x23456781, 0x12345678, 0x00000004
    rr rol, 0x80000000, 0x00000001, 0x0000001f
    rr rol, 0x12345678, 0x12345678, 0x00000020      /* counts are taken modulo 32 */
    rr rol, 0x23456781, 0x12345678, 0xffffffe4
    rs rol, 0x00000018, 0x00000003
    rr ror, 0x00000001, 0x00000001, 0x00000000
    rr ror, 0x80000000, 0x00000001, 0x00000001
    rr ror, 0x81234567, 0x12345678, 0x00000004
    rr ror, 0x00000002, 0x00000001, 0x0000001f
    rr ror, 0x12345678, 0x12345678, 0x00000020
    rr ror, 0x81234567, 0x12345678, 0xffffffe4
    rs ror, 0x60000000, 0x00000003
    ri rori, 0x12345678, 0x12345678, 0
    ri rori, 0x81234567, 0x12345678, 4
    ri rori, 0x80000000, 0x00000001, 1
    ri rori, 0x00000002, 0x00000001, 31

    /* Amounts above 31 are reserved. */
    traps 2, skip, .4byte 0x6205d513    /* rori a0, a1, 32 */

    j pass
