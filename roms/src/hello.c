/* hello: says hello and echoes its arguments. */
#include <stdio.h>

int main(int argc, char **argv)
{
    printf("Hello from a RISC-V program of %d bits\n", (int)(8 * sizeof(void *)));
    for (int i = 1; i < argc; i++)
        printf("argument %d: %s\n", i, argv[i]);
    return 0;
}
