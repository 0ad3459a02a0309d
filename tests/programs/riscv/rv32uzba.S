#include "test.h"
    .option arch, +zba
    begin

    rr sh1add, 0x00000000, 0x00000000, 0x00000000
    rr sh1add, 0x00000003, 0x00000001, 0x00000001
    rr sh1add, 0x0000000d, 0x00000003, 0x00000007
    rr sh1add, 0xffff8000, 0x00000000, 0xffff8000
    rr sh1add, 0x00000000, 0x80000000, 0x00000000   /* the highest bit goes */
    rr sh1add, 0xffff8000, 0x80000000, 0xffff8000
    rr sh1add, 0xfffffffd, 0xffffffff, 0xffffffff
    rs sh1add, 0x80000001, 0x2aaaaaab
    rr sh2add, 0x00000005, 0x00000001, 0x00000001
    rr sh2add, 0x00000013, 0x00000003, 0x00000007
    rr sh2add, 0x7fffffff, 0xc0000000, 0x7fffffff
    rr sh2add, 0xfffffffb, 0xffffffff, 0xffffffff
    rs sh2add, 0x0000000a, 0x00000002
    rr sh3add, 0x00000009, 0x00000001, 0x00000001
    rr sh3add, 0x0000001f, 0x00000003, 0x00000007
    rr sh3add, 0x00007fff, 0xe0000000, 0x00007fff
    rr sh3add, 0xfffffff7, 0xffffffff, 0xffffffff
    rs sh3add, 0x00000012, 0x00000002

    test                                /* the address of an element, and what is there */
    words 11, 22, 33, 44, 55, 66, 77, 88
    li a1, 3
    sh2add a2, a1, s0
    lw a3, 0(a2)
    expect a3, 44
    sh3add s0, a1, s0
    lw a3, 0(s0)
    expect a3, 77
    sw a1, 4(s0)
    lw a3, 4(s0)
    expect a3, 3

    j pass
