/* Loops over one address, for `dynarec bench`: it runs up to main, and then calls a function with arguments of its own. */
#include <stdint.h>

struct frame;
void machine_handle(struct frame *frame) {
    (void)frame;
}

__attribute__((noinline)) uint32_t read_bytes(volatile uint8_t *at, uint32_t count) {
    uint32_t sum = 0;
    while (count--)
        sum += *at;
    return sum;
}

/* What the linker keeps. */
uint32_t (*volatile loops[])(volatile uint8_t *, uint32_t) = {read_bytes};

int main(void) {
    for (;;)
        (void)loops[0];
}
