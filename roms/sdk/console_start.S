/* Entry of a ROM for the `console` machine, and the note by which the machine recognises it. */
    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la tp, __tls_base
    la sp, __stack_top
    la t0, __bss_start
    la t1, __bss_end
    j 2f
1:  sw zero, 0(t0)
    addi t0, t0, 4
2:  bltu t0, t1, 1b
    call console_start
    ebreak /* console_start does not return */
    .size _start, . - _start

    .section .note.dynarec, "a", @note
    .balign 4
    .word 2f - 1f /* size of the name */
    .word 4f - 3f /* size of the description */
    .word 1       /* type: machine name */
1:  .asciz "dynarec"
2:  .balign 4
3:  .asciz "console"
4:  .balign 4
