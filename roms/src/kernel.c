/* A kernel of a few pages for machine virt, board virt: a shell on the serial port that is driven by interrupts.
 *
 * It shows everything a kernel needs: traps with their registers, a timer, a user program with system calls, the interrupt
 * controller, sleep. Commands: help, time, ticks N, user, traps, mem ADDRESS, echo TEXT, halt [CODE].
 */
#include <stdint.h>

#define MSTATUS_MIE 8u
#define MIE_TIMER (1u << 7)
#define MIE_EXTERNAL (1u << 11)
#define INTERRUPT 0x80000000u
#define TIMER (INTERRUPT | 7)
#define EXTERNAL (INTERRUPT | 11)
#define USER_CALL 8

#define UART ((volatile uint8_t *)0x10000000)
#define UART_IRQ 10
#define PLIC_PRIORITY ((volatile uint32_t *)0x0c000000)
#define PLIC_ENABLE (*(volatile uint32_t *)0x0c002000)
#define PLIC_THRESHOLD (*(volatile uint32_t *)0x0c200000)
#define PLIC_CLAIM (*(volatile uint32_t *)0x0c200004)
#define MTIMECMP ((volatile uint32_t *)0x02004000)
#define MTIME ((volatile uint32_t *)0x0200bff8)
#define FINISHER (*(volatile uint32_t *)0x00100000)
#define PERIOD 1000 /* ticks of 100 ns: ten thousand interrupts a second */

#define csr_read(name) \
    ({ uint32_t value; __asm__ volatile("csrr %0, " #name : "=r"(value)); value; })
#define csr_set(name, bits) __asm__ volatile("csrs " #name ", %0" ::"r"(bits) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " #name ", %0" ::"r"(bits) : "memory")

union frame {
    uint32_t pc, x[32]; /* x0 needs no place */
};

int enter_user(void (*function)(void), void *stack);
void leave_user(int result) __attribute__((noreturn));

static volatile uint32_t ticks, expected, seen_cause, seen_value, seen_pc;
static char input[64];
static volatile unsigned input_head, input_tail;

static void put(char c) {
    while (!(UART[5] & 0x20)) {
    }
    UART[0] = (uint8_t)c;
}

static void print(const char *text) {
    while (*text)
        put(*text++);
}

static void print_number(uint32_t value, uint32_t base) {
    char digits[12];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || (base == 16 && count < 8));
    while (count)
        put(digits[--count]);
}

static uint64_t now(void) {
    uint32_t high, low;
    do {
        high = MTIME[1];
        low = MTIME[0];
    } while (high != MTIME[1]);
    return (uint64_t)high << 32 | low;
}

static void set_alarm(uint64_t at) {
    MTIMECMP[1] = UINT32_MAX;
    MTIMECMP[0] = (uint32_t)at;
    MTIMECMP[1] = (uint32_t)(at >> 32);
}

static void on_input(void) {
    uint32_t source = PLIC_CLAIM;
    if (source == UART_IRQ)
        while (UART[5] & 1)
            input[input_head++ % sizeof input] = (char)UART[0];
    if (source)
        PLIC_CLAIM = source;
}

static void on_user_call(union frame *frame) {
    frame->pc += 4;
    switch (frame->x[17]) {
    case 1:
        put((char)frame->x[10]);
        return;
    case 2:
        frame->x[10] = ticks;
        return;
    default:
        leave_user((int)frame->x[10]);
    }
}

void machine_handle(union frame *frame);
void machine_handle(union frame *frame) {
    uint32_t cause = csr_read(mcause), value = csr_read(mtval);
    if (cause == TIMER) {
        ticks++;
        set_alarm(now() + PERIOD);
    } else if (cause == EXTERNAL) {
        on_input();
    } else if (cause == USER_CALL) {
        on_user_call(frame);
    } else if (expected) {
        seen_cause = cause;
        seen_value = value;
        seen_pc = frame->pc;
        frame->pc = expected;
        expected = 0;
    } else {
        print("unexpected trap, cause ");
        print_number(cause, 10);
        print(" at ");
        print_number(frame->pc, 16);
        print(" value ");
        print_number(value, 16);
        print("\n");
        FINISHER = 0x3333 | 99 << 16;
    }
}

/* Sleeps until the condition may hold; interrupts are off between the look at it and wfi, which wakes all the same. */
#define WAIT_UNTIL(condition) \
    for (;;) { \
        csr_clear(mstatus, MSTATUS_MIE); \
        int holds = (condition); \
        if (!holds) \
            __asm__ volatile("wfi"); \
        csr_set(mstatus, MSTATUS_MIE); \
        if (holds) \
            break; \
    }

static char get(void) {
    WAIT_UNTIL(input_head != input_tail);
    return input[input_tail++ % sizeof input];
}

static void read_line(char *line, unsigned size) {
    unsigned length = 0;
    for (;;) {
        char c = get();
        if (c == '\r' || c == '\n')
            break;
        if (length + 1 < size) {
            line[length++] = c;
            put(c);
        }
    }
    line[length] = 0;
    put('\n');
}

/* Whether the line is that command; the rest of it. */
static const char *command(const char *line, const char *name) {
    while (*name)
        if (*line++ != *name++)
            return 0;
    if (*line && *line != ' ')
        return 0;
    return *line ? line + 1 : line;
}

static uint32_t number(const char *text) {
    uint32_t value = 0, base = 10;
    if (text[0] == '0' && text[1] == 'x') {
        text += 2;
        base = 16;
    }
    for (; *text; text++)
        value = value * base + (uint32_t)(*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
    return value;
}

static uint32_t user_call(uint32_t call, uint32_t argument) {
    register uint32_t a0 __asm__("a0") = argument;
    register uint32_t a7 __asm__("a7") = call;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
    return a0;
}

/* In user mode: counts primes while the timer ticks, and calls for its end. */
static void user_program(void) {
    uint32_t count = 0, before = user_call(2, 0);
    for (uint32_t n = 2; n < 6000; n++) {
        uint32_t d = 2;
        while (d * d <= n && n % d)
            d++;
        count += d * d > n;
    }
    user_call(1, user_call(2, 0) - before > 0 ? '+' : '-');
    user_call(3, count);
    __builtin_unreachable();
}

static void run_user(void) {
    static uint8_t stack[1024] __attribute__((aligned(16)));
    int primes = enter_user(user_program, stack + sizeof stack);
    csr_set(mstatus, MSTATUS_MIE);
    print(" user program: ");
    print_number((uint32_t)primes, 10);
    print("\n");
}

#define TRY(code, ...) \
    { \
        uint32_t start; \
        __asm__ volatile("la t0, 2f; la t1, %1; sw t0, 0(t1); la %0, 1f\n1: " code "\n2:" \
                         : "=&r"(start) : "S"(&expected), ##__VA_ARGS__ : "t0", "t1", "memory"); \
        report(#code, start); \
    }

static void report(const char *code, uint32_t start) {
    print(code);
    print(": cause ");
    print_number(seen_cause, 10);
    print(" value ");
    print_number(seen_value, 16);
    print(seen_pc == start ? " at it\n" : " elsewhere\n");
}

static void show_traps(void) {
    TRY(".word 0");
    TRY(".word 0xffffffff");
    TRY("csrw mhartid, zero");
    TRY("ebreak");
    TRY("ecall");
    TRY("lw t2, 16(zero)");
    TRY("sw t2, 20(zero)");
    TRY("c.lw a0, 0(%2)", "r"(24));
    TRY("lb t2, 1(%2)", "r"(0x0c000000));
    TRY("jr %2", "r"(0x40));
}

static void wait_ticks(uint32_t count) {
    uint32_t target = ticks + count;
    WAIT_UNTIL((int32_t)(ticks - target) >= 0);
    print("ticks\n");
}

static void execute(const char *line) {
    const char *rest;
    if ((rest = command(line, "echo"))) {
        print(rest);
        print("\n");
    } else if ((rest = command(line, "ticks"))) {
        wait_ticks(number(rest));
    } else if (command(line, "time")) {
        print_number((uint32_t)now(), 10);
        print("\n");
    } else if (command(line, "user")) {
        run_user();
    } else if (command(line, "traps")) {
        show_traps();
    } else if ((rest = command(line, "mem"))) {
        print_number(*(volatile uint32_t *)number(rest), 16);
        print("\n");
    } else if ((rest = command(line, "halt"))) {
        uint32_t code = number(rest);
        FINISHER = code ? 0x3333 | code << 16 : 0x5555;
    } else if (*line) {
        print("commands: echo halt mem ticks time traps user\n");
    }
}

/* hart: the number of this CPU, in place of a count of arguments; tree: the device tree. */
int main(int hart, char **tree) {
    char line[64];
    UART[2] = 1;
    UART[1] = 1;
    PLIC_PRIORITY[UART_IRQ] = 1;
    PLIC_ENABLE = 1u << UART_IRQ;
    PLIC_THRESHOLD = 0;
    __asm__ volatile("csrw pmpaddr0, %0; csrw pmpcfg0, %1" ::"r"(-1), "r"(0x1f)); /* user mode may use all memory */
    set_alarm(now() + PERIOD);
    csr_set(mie, MIE_TIMER | MIE_EXTERNAL);
    csr_set(mstatus, MSTATUS_MIE);
    print("hart ");
    print_number((uint32_t)hart, 10);
    print(*(const uint32_t *)tree == 0xedfe0dd0 ? ", device tree\n" : ", no device tree\n");
    for (;;) {
        print("> ");
        read_line(line, sizeof line);
        execute(line);
    }
}
