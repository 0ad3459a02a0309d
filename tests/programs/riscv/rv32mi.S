#include "test.h"
#define CLINT_MSIP 0x02000000
#define CLINT_MTIMECMP 0x02004000
#define CLINT_MTIME 0x0200bff8
    begin

    /* -- registers --------------------------------------------------------------------------------------------------- */

    test
    csrr a0, mhartid
    expect a0, 0
    csrr a0, misa
    li a1, 0x40101105                   /* RV32, with A, C, I, M, U */
    and a0, a0, a1
    fail_unless eq, a0, a1
    csrr a0, mvendorid
    csrr a0, marchid
    csrr a0, mimpid

    test                                /* each way to change one */
    li a0, 0x0ff0
    csrw mscratch, a0
    li a1, 0xff00
    csrrs a2, mscratch, a1
    expect a2, 0x0ff0
    csrrc a2, mscratch, a0
    expect a2, 0xfff0
    csrrwi a2, mscratch, 31
    expect a2, 0xf000
    csrrsi a2, mscratch, 4
    expect a2, 31
    csrrci a2, mscratch, 1
    expect a2, 31
    csrr a2, mscratch
    expect a2, 30
    csrrw a2, mscratch, a2              /* rd is the source */
    expect a2, 30
    csrrw zero, mscratch, a0
    csrrs zero, mscratch, a1
    csrr a2, mscratch
    expect a2, 0xfff0

    test                                /* bits that are not there stay 0 */
    li a0, -1
    csrrw s1, mtvec, zero
    csrr a1, mtvec
    expect a1, 0
    csrw mtvec, s1
    csrr a1, mtvec
    fail_unless eq, a1, s1
    csrw mie, a0
    csrr a1, mie
    andi a1, a1, 0x88
    expect a1, 0x88
    csrw mie, zero
    csrr a1, mie
    expect a1, 0

    test                                /* the previous mode is M or U, never one that there is not */
    li a0, MPP
    csrs mstatus, a0
    csrr a1, mstatus
    and a1, a1, a0
    fail_unless eq, a1, a0
    csrc mstatus, a0
    csrr a1, mstatus
    and a1, a1, a0
    expect a1, 0
    csrs mstatus, a0

    /* Registers that there are none of, and writes of what can only be read. */
    traps 2, skip, csrr a0, satp
    traps 2, skip, csrr a0, sstatus
    traps 2, skip, csrr a0, 0x5c0
    traps 2, skip, csrw 0x7ff, a0
    traps 2, skip, csrw mhartid, zero
    traps 2, skip, csrs mvendorid, a0
    traps 2, skip, csrw cycle, zero
    traps 2, skip, csrci time, 1
    test                                /* setting no bits is no write */
    csrs mhartid, zero
    csrrci a0, mhartid, 0
    csrrsi a0, instret, 0

    /* -- counters ---------------------------------------------------------------------------------------------------- */

    test
    csrr a0, minstret
    csrr a1, minstret
    fail_unless ltu, a0, a1
    csrr a0, mcycle
    nop
    csrr a1, mcycle
    fail_unless ltu, a0, a1
1:  rdtimeh a1
    rdtime a0
    rdtimeh a2
    bne a1, a2, 1b
    csrr a0, mhpmcounter3
    expect a0, 0

    /* -- traps ------------------------------------------------------------------------------------------------------- */

    .macro illegal word
    traps 2, skip, .4byte \word
    li a0, \word
    beq s7, a0, 4f
    fail_unless eq, s7, zero
4:
    .endm
    illegal 0xffffffff
    illegal 0x02051513                  /* slli by 32 */
    illegal 0x02055513                  /* srli by 32 */
    illegal 0x42055513                  /* srai by 32 */
    illegal 0x00003003                  /* ld */
    illegal 0x00003023                  /* sd */
    illegal 0x0000003b                  /* addw */
    illegal 0x00002063                  /* no branch */
    illegal 0x00001067                  /* no jalr */
    illegal 0x00004073                  /* no instruction of the system */
    illegal 0x10200073                  /* sret */
    illegal 0x00200073                  /* uret */
    illegal 0x0000302f                  /* lr.d's width */
    illegal 0x1010202f                  /* lr.w with a second source */
    traps 11, zero, ecall
    test
    la s10, 3f
2:  .option push
    .option norvc
    ebreak
    .option pop
    j fail
3:  expect s9, 3
    la a0, 2b
    fail_unless eq, s8, a0
    test
    la s10, 3f
2:  c.ebreak
    j fail
3:  expect s9, 3
    la a0, 2b
    fail_unless eq, s8, a0

    li a0, 64                           /* nothing is there */
    traps 5, a0, lw a1, 0(a0)
    traps 5, a0, lbu a0, 0(a0)
    traps 7, a0, sw a1, 0(a0)
    traps 7, a0, sb a1, 0(a0)
    test                                /* what trapped has changed nothing */
    li a0, 64
    la s10, 1f
    lw a0, 0(a0)
    j fail
1:  expect a0, 64

    test                                /* a jump to nothing traps there, with the link written */
    li a0, 64
    la s10, 3f
1:  jalr ra, a0
2:  j fail
3:  expect s9, 1
    expect s8, 64
    expect s7, 64
    la a1, 2b
    fail_unless eq, ra, a1

    test                                /* entering a trap and leaving it: a stack of two */
    csrci mstatus, MIE
    li a0, MPIE
    csrs mstatus, a0
    la s10, 1f
    ecall
1:  csrr a0, mstatus                    /* the handler's mret: MPIE was MIE, which was 0 */
    andi a1, a0, MIE
    expect a1, 0
    andi a1, a0, MPIE
    expect a1, MPIE
    csrsi mstatus, MIE
    la s10, 1f
    ecall
1:  csrr a0, mstatus
    andi a1, a0, MIE
    expect a1, MIE
    csrci mstatus, MIE

    /* -- user mode ------------------------------------------------------------------------------------------------------ */

    .macro user_traps cause, instruction:vararg
    test
    la s10, 3f
    to_user
2:  \instruction
    la s10, 3f
    j fail
3:  expect s9, \cause
    la t6, 2b
    fail_unless eq, s8, t6
    .endm
    user_traps 8, ecall
    user_traps 2, csrr a0, mstatus
    user_traps 2, csrw mscratch, a0
    user_traps 2, csrr a0, mhartid
    user_traps 2, mret
    user_traps 2, .4byte 0
    li a0, 64
    user_traps 5, lw a1, 0(a0)
    user_traps 7, sw a1, 0(a0)
    csrw mcounteren, zero
    user_traps 2, rdcycle a0
    user_traps 2, rdtime a0
    user_traps 2, rdinstreth a0
    test                                /* the previous mode was U */
    la s10, 1f
    csrw mscratch, zero
    la a0, 3f
    csrrw s1, mtvec, a0
    to_user
    ecall
    .balign 4
3:  csrr a1, mstatus
    csrw mtvec, s1
    li a0, MPP
    and a1, a1, a0
    expect a1, 0
    li s10, 0
    test                                /* what mcounteren allows */
    li a0, 7
    csrw mcounteren, a0
    la s10, 1f
    to_user
    rdcycle a0
    rdtime a1
    rdinstret a2
    rdinstreth a3
    ecall
1:  expect s9, 8
    csrw mcounteren, zero
    csrr a0, cycle                      /* machine mode always may */

    test                                /* mret to M keeps MPRV */
    li a0, MPRV | MPP
    csrs mstatus, a0
    la a1, 1f
    csrw mepc, a1
    mret
1:  csrr a1, mstatus
    li a0, MPRV
    and a2, a1, a0
    fail_unless eq, a2, a0
    csrc mstatus, a0

    test                                /* with MPRV and MPP U, data is reached as in user mode, which may reach all of it */
    words 0x1234
    li a0, MPP
    csrc mstatus, a0
    li a0, MPRV
    csrs mstatus, a0
    lw a1, 0(s0)
    sw a1, 0(s0)
    csrc mstatus, a0
    expect a1, 0x1234

    /* -- interrupts ------------------------------------------------------------------------------------------------------ */

    .macro no_timer
    li a0, CLINT_MTIMECMP
    li a1, -1
    sw a1, 4(a0)
    sw a1, 0(a0)
    .endm

    .macro timer_now
    li a0, CLINT_MTIMECMP
    sw zero, 4(a0)
    sw zero, 0(a0)
    .endm

    /* Wait, for a while, until these bits of mip are \value: the line may take its time. */
    .macro wait_for_lines bits, value
    li a2, 1000000
5:  csrr a1, mip
    andi a1, a1, \bits
    li a3, \value
    beq a1, a3, 6f
    addi a2, a2, -1
    bnez a2, 5b
    j fail
6:
    .endm

    test                                /* pending, and not taken while MIE or the line's own bit is 0 */
    no_timer
    timer_now
    wait_for_lines 0x80, 0x80
    csrsi mstatus, MIE
    nop
    csrci mstatus, MIE
    li a0, MTIE
    csrw mie, a0
    nop
    csrw mie, zero
    csrw mip, zero                      /* which cannot be written */
    wait_for_lines 0x80, 0x80
    no_timer
    wait_for_lines 0x80, 0

    test                                /* software */
    li a0, CLINT_MSIP
    li a1, 1
    sw a1, 0(a0)
    wait_for_lines 0x8, 0x8
    lw a1, 0(a0)
    expect a1, 1
    la s10, 1f
    li a1, MSIE
    csrw mie, a1
    csrsi mstatus, MIE
2:  j 2b
1:  expect s9, 0x80000003
    expect s7, 0
    csrci mstatus, MIE
    sw zero, 0(a0)
    wait_for_lines 0x8, 0

    /* Vectored: interrupts have an entry each, traps and software the first and the fourth. */
    .macro vector_entry cause
    .option push
    .option norvc
    j vector_\cause
    .option pop
    .endm
    j after_vectors
    .balign 64
vectors:
    .irp cause, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    vector_entry \cause
    .endr
    .irp cause, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
vector_\cause:
    li s6, \cause
    la t6, trap
    jr t6
    .endr
after_vectors:

    test
    la a0, vectors + 1
    csrrw s1, mtvec, a0
    csrr a1, mtvec
    fail_unless eq, a0, a1
    la s10, 1f
    li s6, -1
    ecall
1:  expect s6, 0
    expect s9, 11
    timer_now
    li a1, MTIE
    csrw mie, a1
    la s10, 1f
    csrsi mstatus, MIE
2:  j 2b
1:  expect s6, 7
    expect s9, 0x80000007
    csrci mstatus, MIE

    test                                /* software before timer, and what is not enabled is not seen */
    li a0, CLINT_MSIP
    li a1, 1
    sw a1, 0(a0)
    wait_for_lines 0x88, 0x88
    li a1, MTIE | MSIE
    csrw mie, a1
    la s10, 1f
    csrsi mstatus, MIE
2:  j 2b
1:  expect s6, 3
    csrci mstatus, MIE
    li a1, MTIE
    csrw mie, a1
    la s10, 1f
    csrsi mstatus, MIE
2:  j 2b
1:  expect s6, 7
    csrci mstatus, MIE
    csrw mtvec, s1
    li a0, CLINT_MSIP
    sw zero, 0(a0)

    test                                /* user mode is interrupted whatever MIE is */
    la s10, 1f
    to_user
2:  j 2b
1:  expect s9, 0x80000007
    csrw mie, zero
    no_timer

    test                                /* wfi goes on when there is an interrupt, also where it is not taken */
    csrci mstatus, MIE
    li a0, CLINT_MTIME
    lw a2, 0(a0)
    lw a3, 4(a0)
    li a1, 20000
    add a4, a2, a1
    sltu a5, a4, a2
    add a3, a3, a5
    li a0, CLINT_MTIMECMP
    li a5, -1
    sw a5, 0(a0)
    sw a3, 4(a0)
    sw a4, 0(a0)
    li a1, MTIE
    csrw mie, a1
1:  wfi
    csrr a1, mip
    andi a1, a1, MTIE
    beqz a1, 1b                         /* a wfi may end for nothing */
    li a0, CLINT_MTIME
    lw a1, 0(a0)
    sub a1, a1, a4
    fail_unless ge, a1, zero
    no_timer

    test                                /* one that comes while the program does nothing but run */
    li a0, CLINT_MTIME
    lw a1, 0(a0)
    lw a2, 4(a0)
    li a3, 20000
    add a3, a1, a3
    sltu a4, a3, a1
    add a2, a2, a4
    li a0, CLINT_MTIMECMP
    sw a3, 0(a0)
    sw a2, 4(a0)
    la s10, 1f
    csrsi mstatus, MIE
2:  j 2b
1:  expect s9, 0x80000007
    csrci mstatus, MIE
    no_timer

    test                                /* and is taken behind it, where it is */
    timer_now
    la s10, 1f
    csrsi mstatus, MIE
2:  wfi
    j 2b
1:  expect s9, 0x80000007
    csrci mstatus, MIE
    csrw mie, zero
    no_timer

    test                                /* mtime goes forwards, as time does */
    li a0, CLINT_MTIME
    lw a1, 0(a0)
    rdtime a2
    lw a3, 0(a0)
    sub a4, a2, a1
    fail_unless ge, a4, zero
    sub a4, a3, a2
    fail_unless ge, a4, zero

    j pass
