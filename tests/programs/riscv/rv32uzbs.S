#include "test.h"
    .option arch, +zbs
    begin

    rr bclr, 0xff00ff00, 0xff00ff00, 0x00000000
    rr bclr, 0x7fffffff, 0xffffffff, 0x0000001f
    rr bclr, 0xfffffffe, 0xffffffff, 0x00000020     /* numbers are taken modulo 32 */
    rr bclr, 0xfffffbff, 0xffffffff, 0xffffffea
    rs bclr, 0x00000001, 0x00000001
    rs bclr, 0x00000023, 0x00000023
    ri bclri, 0xfffffffe, 0xffffffff, 0
    ri bclri, 0x7fffffff, 0xffffffff, 31
    ri bclri, 0x0000f7ff, 0x0000ffff, 11
    rr bext, 0, 0xff00ff00, 0x00000000
    rr bext, 1, 0xff00ff00, 0x00000008
    rr bext, 1, 0x80000000, 0x0000001f
    rr bext, 1, 0x00000001, 0x00000020
    rr bext, 0, 0xfffffbff, 0xffffffea
    ri bexti, 1, 0xff00ff01, 0
    ri bexti, 1, 0x80000000, 31
    ri bexti, 0, 0xfffff7ff, 11
    rr binv, 0xff00ff01, 0xff00ff00, 0x00000000
    rr binv, 0x7fffffff, 0xffffffff, 0x0000001f
    rr binv, 0xfffffffe, 0xffffffff, 0x00000020
    rr binv, 0x00000400, 0x00000000, 0xffffffea
    ri binvi, 0xfffffffe, 0xffffffff, 0
    ri binvi, 0x80000000, 0x00000000, 31
    rr bset, 0xff00ff01, 0xff00ff00, 0x00000000
    rr bset, 0x80000000, 0x00000000, 0x0000001f
    rr bset, 0x00000001, 0x00000000, 0x00000020
    rr bset, 0x00000400, 0x00000000, 0xffffffea
    rs bset, 0x00000006, 0x00000002
    ri bseti, 0x00000001, 0x00000000, 0
    ri bseti, 0x80000000, 0x00000000, 31
    ri bseti, 0x00000800, 0x00000800, 11

    /* In a loop: bit 7 is set for good, and then turned seven times. */
    test
    li a0, 0
    li a1, 100
1:  binvi a0, a0, 7
    bset a0, a0, a1
    addi a1, a1, -1
    bgez a1, 1b
    expect a0, 0xffffff7f

    /* Numbers above 31 are reserved. */
    traps 2, skip, .4byte 0x2a059513    /* bseti a0, a1, 32 */
    traps 2, skip, .4byte 0x4a05d513    /* bexti a0, a1, 32 */

    j pass
