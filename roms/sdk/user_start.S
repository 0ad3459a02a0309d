/* Entry of a program for the Linux ecall ABI. The loader leaves argc, argv, envp and auxv at sp. */
    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la tp, __tls_base
    mv a0, sp
    andi sp, sp, -16
    call user_start
    ebreak /* user_start does not return */
    .size _start, . - _start
