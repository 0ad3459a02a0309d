/* What a debugger meets: every kind of variable, calls, recursion, inlining. Built by `build.py` beside it. */
typedef unsigned char byte;
struct node { int value; struct node *next; const char *label; };
union word { unsigned whole; byte bytes[4]; float real; };
enum colour { RED = 1, GREEN = 2, BLUE = 4 };
struct flags { unsigned low : 3; int middle : 5; unsigned high : 12; _Bool set : 1; };
typedef int (*operation)(int, int);

int total = 3;
volatile int sink;
int matrix[2][3] = {{1, 2, 3}, {4, 5, 6}};
struct node second = {2, 0, "second"}, first = {1, &second, "first"};
double scale = 0.5;

__attribute__((noinline)) int add(int a, int b)
{
    int sum = a + b;
    total += sum; /* line: in add */
    sink = sum;
    return sum;
}

static inline __attribute__((always_inline)) int twice(int v)
{
    int doubled = v * 2;
    sink = doubled; /* line: in twice */
    return doubled + add(doubled, v); /* line: twice calls */
}

__attribute__((noinline)) int walk(struct node *list, enum colour c, operation f)
{
    int count = 0;
    for (struct node *each = list; each; each = each->next) {
        count += f(each->value, c); /* line: walk calls */
        sink = count;
    }
    return count;
}

__attribute__((noinline)) int fill(int n)
{
    char text[8] = "hello";
    int row[n];
    for (int i = 0; i < n; i++)
        row[i] = i * i;
    sink = row[n - 1] + text[1]; /* line: filled */
    return sink;
}

__attribute__((noinline)) int factorial(int n)
{
    if (n < 2)
        return add(1, 0); /* line: deepest */
    return n * factorial(n - 1); /* line: deeper */
}

int main(void)
{
    union word w = {.whole = 0x40490fdb};
    struct flags f = {5, -3, 100, 1};
    int result = walk(&first, GREEN, add); /* line: main walks */
    result += twice(result); /* line: main calls */
    result += fill(4);
    result += factorial(4); /* line: main recurses */
    sink = result + matrix[1][2] + f.middle + w.bytes[0]; /* line: last */
    return sink & 0x7f;
}

void *memcpy(void *to, const void *from, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        ((byte *)to)[i] = ((const byte *)from)[i];
    return to;
}

__asm__(".globl _start\n"
        "_start:\n"
        " .cfi_startproc\n"
        " .cfi_undefined ra\n"
        " .option push\n"
        " .option norelax\n"
        " la gp, __global_pointer$\n"
        " .option pop\n"
        " call main\n"
        " li a7, 93\n"
        " ecall\n"
        " .cfi_endproc\n");
