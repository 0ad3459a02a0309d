/* Entry of a program in machine mode, and its trap handler: all registers go to a frame on the stack of the kernel.
 *
 * mscratch holds the kernel's stack pointer while a user program runs, and 0 while the kernel does.
 */
    .equ FRAME, 144

    .macro each_register do
    .irp n, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \do x\n, 4 * \n(sp)
    .endr
    .endm

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_end
    la t0, machine_trap
    csrw mtvec, t0
    csrw mscratch, zero
    call main
1:  wfi
    j 1b
    .size _start, . - _start

    .text
    .align 2
    .globl machine_trap
    .type machine_trap, @function
machine_trap:
    csrrw sp, mscratch, sp
    bnez sp, 1f
    csrrw sp, mscratch, zero /* from the kernel: its own stack goes on */
1:  addi sp, sp, -FRAME
    each_register sw
    csrrw t0, mscratch, zero /* of a user program: its stack pointer; of the kernel: 0 */
    bnez t0, 2f
    addi t0, sp, FRAME
2:  sw t0, 8(sp)
    csrr t0, mepc
    sw t0, 0(sp)
    csrr t0, mstatus
    sw t0, 128(sp)
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    mv a0, sp
    call machine_handle
    .globl machine_resume
machine_resume: /* leaves through the frame at sp */
    lw t0, 0(sp)
    csrw mepc, t0
    lw t0, 128(sp)
    csrw mstatus, t0
    srli t0, t0, 11
    andi t0, t0, 3
    bnez t0, 3f
    addi t0, sp, FRAME
    csrw mscratch, t0
3:  each_register lw
    lw sp, 8(sp)
    mret
    .size machine_trap, . - machine_trap

/* int enter_user(void (*function)(void), void *stack): runs a user program until it calls for its end. */
    .globl enter_user
    .type enter_user, @function
enter_user:
    addi sp, sp, -64
    sw ra, 0(sp)
    sw s0, 4(sp)
    sw s1, 8(sp)
    sw s2, 12(sp)
    sw s3, 16(sp)
    sw s4, 20(sp)
    sw s5, 24(sp)
    sw s6, 28(sp)
    sw s7, 32(sp)
    sw s8, 36(sp)
    sw s9, 40(sp)
    sw s10, 44(sp)
    sw s11, 48(sp)
    csrci mstatus, 8 /* until the user program runs: the trap handler would take it for one */
    la t0, user_return
    sw sp, 0(t0)
    csrw mscratch, sp
    csrw mepc, a0
    li t0, 0x1800
    csrc mstatus, t0
    li t0, 0x80
    csrs mstatus, t0
    mv sp, a1
    mret
    .globl leave_user
leave_user: /* a0: what enter_user returns */
    la t0, user_return
    lw sp, 0(t0)
    csrw mscratch, zero
    lw ra, 0(sp)
    lw s0, 4(sp)
    lw s1, 8(sp)
    lw s2, 12(sp)
    lw s3, 16(sp)
    lw s4, 20(sp)
    lw s5, 24(sp)
    lw s6, 28(sp)
    lw s7, 32(sp)
    lw s8, 36(sp)
    lw s9, 40(sp)
    lw s10, 44(sp)
    lw s11, 48(sp)
    addi sp, sp, 64
    ret
    .size enter_user, . - enter_user

    .bss
    .align 2
user_return:
    .zero 4
