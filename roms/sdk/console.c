/* What the C library needs on the `console` machine: start and end of the ROM, a heap, and printf by the DEBUG register. */
#include "console.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

int main(void);
_Noreturn void console_start(void);

extern char _end[], __heap_end[];
extern void (*__init_array_start[])(void), (*__init_array_end[])(void);
extern void (*__fini_array_start[])(void), (*__fini_array_end[])(void);

static int put_debug(char c, FILE *stream)
{
    (void)stream;
    console_write(CONSOLE_REG_DEBUG, (uint8_t)c);
    return (unsigned char)c;
}

static int get_nothing(FILE *stream)
{
    (void)stream;
    return _FDEV_EOF;
}

static FILE debug = FDEV_SETUP_STREAM(put_debug, get_nothing, NULL, _FDEV_SETUP_RW);
FILE *const stdin = &debug;
FILE *const stdout = &debug;
FILE *const stderr = &debug;

/* malloc grows its heap here. */
void *sbrk(ptrdiff_t increment)
{
    static char *end = _end;
    char *old = end;
    if (increment > __heap_end - end || increment < _end - end) {
        errno = ENOMEM;
        return (void *)-1;
    }
    end += increment;
    return old;
}

_Noreturn void _exit(int status)
{
    for (;;)
        console_write(CONSOLE_REG_EXIT, (uint32_t)status);
}

static void run_all(void (**from)(void), void (**to)(void))
{
    for (; from < to; from++)
        (*from)();
}

static void run_destructors(void)
{
    run_all(__fini_array_start, __fini_array_end);
}

_Noreturn void console_start(void)
{
    atexit(run_destructors);
    run_all(__init_array_start, __init_array_end);
    exit(main());
}
