/* printf and scanf of many shapes. */
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    printf("%d arguments, the last is '%s'\n", argc - 1, argv[argc - 1]);
    for (int32_t i = -3; i < 4; i++)
        printf("%4d|%-6d|%06d|%+d|%x|%#o|%u\n", (int)i, (int)i * 1000, (int)i * 77, (int)i, (unsigned)i, (unsigned)(i * i), (unsigned)i);
    printf("%lld %llu %016llx\n", -1234567890123456789ll, 12345678901234567890ull, 0x123456789abcdef0ull);
    printf("%f %.3e %g %a\n", 3.14159265358979, -2.5e-10, 1e100, 0.5);
    printf("[%10s] [%-10s] [%.3s] %c%%\n", "right", "left", "truncated", 'x');
    int a = 0, b = 0;
    char word[16] = "";
    int found = sscanf("17 0x2a hello", "%d %i %15s", &a, &b, word);
    printf("%d %d %d %s\n", found, a, b, word);
    return 7;
}
