/* Rectangles and text on a framebuffer of 1, 2 or 4 bytes a pixel. Everything is clipped to the surface. */
#ifndef DRAW_H
#define DRAW_H

#include <stdint.h>

struct draw_surface {
    void *pixels;
    int width, height;   /* pixels; rows follow each other without a gap */
    int bytes_per_pixel; /* 1, 2 or 4 */
};

enum { DRAW_GLYPH_WIDTH = 5, DRAW_GLYPH_HEIGHT = 7, DRAW_ADVANCE = 6 };

/* An RGB565 colour from parts of 0 to 255. */
static inline uint16_t draw_rgb565(uint32_t red, uint32_t green, uint32_t blue)
{
    return (uint16_t)((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3);
}

void draw_fill(const struct draw_surface *to, int x, int y, int width, int height, uint32_t color);

/* Text in capitals, digits and the common marks, each pixel scale pixels large; returns the x behind the text. */
int draw_text(const struct draw_surface *to, int x, int y, int scale, uint32_t color, const char *text);

/* The same with the middle of the text at x. */
void draw_text_centred(const struct draw_surface *to, int x, int y, int scale, uint32_t color, const char *text);

#endif
