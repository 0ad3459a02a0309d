/*
 * The `console` machine: registers and a small interface to them. README.md beside this file is the reference.
 *
 * All registers are 32 bits wide and take aligned 32-bit accesses only.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_BASE 0xF0000000u
#define CONSOLE_ID 0x434E5944u /* "DYNC" */

enum console_register {
    CONSOLE_REG_ID = 0x00,              /* R: CONSOLE_ID */
    CONSOLE_REG_VERSION = 0x04,         /* R: 1 */
    CONSOLE_REG_RAM_SIZE = 0x08,        /* R: end of RAM in bytes */
    CONSOLE_REG_FB_ADDR = 0x0C,         /* RW: address of the framebuffer */
    CONSOLE_REG_FB_WIDTH = 0x10,        /* RW: pixels, 1 to 1920 */
    CONSOLE_REG_FB_HEIGHT = 0x14,       /* RW: pixels, 1 to 1080 */
    CONSOLE_REG_FB_STRIDE = 0x18,       /* RW: bytes from row to row, 0: no gap */
    CONSOLE_REG_FB_FORMAT = 0x1C,       /* RW: enum console_format; writing it shows the picture from then on */
    CONSOLE_REG_FRAME = 0x20,           /* R: frames shown since start */
    CONSOLE_REG_VSYNC = 0x24,           /* W: the picture is complete, wait for the next vertical blank */
    CONSOLE_REG_TIME_MS = 0x28,         /* R: milliseconds since start */
    CONSOLE_REG_RANDOM = 0x2C,          /* R: a random number */
    CONSOLE_REG_KEYS = 0x30,            /* R: held keys, bits of enum console_button */
    CONSOLE_REG_KEY_EVENT = 0x34,       /* R: takes the next event off the queue, 0 when there is none */
    CONSOLE_REG_POINTER_X = 0x38,       /* R: framebuffer pixels */
    CONSOLE_REG_POINTER_Y = 0x3C,       /* R: framebuffer pixels */
    CONSOLE_REG_POINTER_BUTTONS = 0x40, /* R: bits of enum console_pointer_button */
    CONSOLE_REG_DEBUG = 0x44,           /* W: the low byte goes to the standard output */
    CONSOLE_REG_EXIT = 0x48,            /* W: ends the run with this status */
    CONSOLE_REG_HEADLESS = 0x4C,        /* R: 1 when there is no window */
    CONSOLE_REG_PALETTE = 0x400,        /* RW: 256 colours, XRGB8888 */
};

enum console_format {
    CONSOLE_FORMAT_OFF = 0,
    CONSOLE_FORMAT_XRGB8888 = 1,
    CONSOLE_FORMAT_RGB565 = 2,
    CONSOLE_FORMAT_PAL8 = 3,
};

enum console_button {
    CONSOLE_UP = 1 << 0,
    CONSOLE_DOWN = 1 << 1,
    CONSOLE_LEFT = 1 << 2,
    CONSOLE_RIGHT = 1 << 3,
    CONSOLE_A = 1 << 4,      /* Z or space */
    CONSOLE_B = 1 << 5,      /* X */
    CONSOLE_X = 1 << 6,      /* A */
    CONSOLE_Y = 1 << 7,      /* S */
    CONSOLE_START = 1 << 8,  /* Return */
    CONSOLE_SELECT = 1 << 9, /* Tab or Backspace */
};

enum console_pointer_button { CONSOLE_POINTER_LEFT = 1, CONSOLE_POINTER_MIDDLE = 2, CONSOLE_POINTER_RIGHT = 4 };

/* A key event: the key is an ASCII code in lower case or one of the codes below. */
#define CONSOLE_EVENT_PRESSED 0x80000000u
#define CONSOLE_EVENT_KEY 0x0000FFFFu
enum console_key {
    CONSOLE_KEY_UP = 0x101,
    CONSOLE_KEY_DOWN = 0x102,
    CONSOLE_KEY_LEFT = 0x103,
    CONSOLE_KEY_RIGHT = 0x104,
    CONSOLE_KEY_F0 = 0x110, /* plus n for F n */
};

static inline uint32_t console_read(uint32_t reg)
{
    return *(volatile uint32_t *)(CONSOLE_BASE + reg);
}

static inline void console_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(CONSOLE_BASE + reg) = value;
}

/* Shows a framebuffer without gaps between its rows. */
static inline void console_show(const void *pixels, int width, int height, enum console_format format)
{
    console_write(CONSOLE_REG_FB_ADDR, (uint32_t)pixels);
    console_write(CONSOLE_REG_FB_WIDTH, (uint32_t)width);
    console_write(CONSOLE_REG_FB_HEIGHT, (uint32_t)height);
    console_write(CONSOLE_REG_FB_STRIDE, 0);
    console_write(CONSOLE_REG_FB_FORMAT, format);
}

/* Sets one colour of the palette, 0xRRGGBB. */
static inline void console_palette(uint8_t index, uint32_t rgb)
{
    console_write(CONSOLE_REG_PALETTE + 4u * index, rgb);
}

/* Hands over the complete picture and waits for the next one to be due. */
static inline void console_vsync(void)
{
    __asm__ volatile("" ::: "memory"); /* all pixels are stored before */
    console_write(CONSOLE_REG_VSYNC, 1);
}

static inline uint32_t console_frame(void)
{
    return console_read(CONSOLE_REG_FRAME);
}

static inline uint32_t console_time_ms(void)
{
    return console_read(CONSOLE_REG_TIME_MS);
}

static inline uint32_t console_random(void)
{
    return console_read(CONSOLE_REG_RANDOM);
}

static inline uint32_t console_keys(void)
{
    return console_read(CONSOLE_REG_KEYS);
}

static inline uint32_t console_key_event(void)
{
    return console_read(CONSOLE_REG_KEY_EVENT);
}

/* True when nobody is watching: a ROM should draw what it has to show, and end. */
static inline bool console_headless(void)
{
    return console_read(CONSOLE_REG_HEADLESS) != 0;
}

#endif
