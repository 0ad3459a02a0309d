/* The string functions, and conversion of numbers. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char text[] = "the quick brown fox jumps over the lazy dog";
    char copy[64], *rest = NULL;
    strcpy(copy, text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        printf("%u:%c%s ", (unsigned)strlen(word), toupper((unsigned char)word[0]), word + 1);
    printf("\n%s|%s|%s\n", strstr(text, "fox"), strchr(text, 'q'), strrchr(text, 'o'));
    printf("%d %d %d\n", strcmp("a", "b") < 0, strncmp("abc", "abd", 2), memcmp("xyz", "xya", 3) > 0);
    memmove(text + 4, text, 20);
    printf("%s\n%u %u\n", text, (unsigned)strspn("aabbc", "ab"), (unsigned)strcspn("hello", "l"));
    char *end;
    printf("%ld %lu %lld %s\n", strtol("-123abc", &end, 10), strtoul("ff", NULL, 16), strtoll("-9000000000", NULL, 10), end);
    printf("%.6f %d\n", strtod("2.718281828", NULL), atoi("  42"));
    return 3;
}
