/*
 * mandelbrot: an explorer of the Mandelbrot set in fixed point.
 *
 * Arrows move, Z and X zoom in and out, A and S take fewer or more iterations, a click makes its point the centre,
 * Tab shows the whole set, Return goes back to the first view. A picture comes in three passes, so that it can be
 * left early: large blocks, single pixels, and an average of four samples wherever neighbours differ.
 */
#include "console.h"
#include "draw.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { WIDTH = 320, HEIGHT = 240, COARSE = 4 };
enum { POINT_BITS = 26, ONE = 1 << POINT_BITS }; /* coordinates: 6 bits before, 26 bits after the point */
enum { MIN_ITERATIONS = 32, MAX_ITERATIONS = 4096, FIRST_ITERATIONS = 600 };
enum { MIN_STEP = 2, MAX_STEP = ONE / 64 };  /* distance of neighbouring pixels */
enum { SHADE_BITS = 8, SHADES = 1024 };      /* fractions of an iteration; colours of the cycle */
enum { PALETTE_START = 700, ROUGH = 12, FRAME_BUDGET_MS = 12, PAN_PIXELS = 6, HINT_HEIGHT = 11 };

/* Points leave at a distance of 4: far enough for smooth shades, near enough for the fixed point. */
#define ESCAPE ((int64_t)16 << 2 * POINT_BITS)
#define TO_FIXED(x) ((int32_t)((x) * ONE))

struct View {
    int32_t x, y; /* the centre */
    int32_t step;
    int iterations;
};

enum Pass { BLOCKS, PIXELS, SMOOTH, DONE };

struct Job {
    enum Pass pass;
    int row;
};

static const struct View first_view = {TO_FIXED(-0.74542), TO_FIXED(0.11301), TO_FIXED(0.0000215), FIRST_ITERATIONS};
static const struct View whole_set = {TO_FIXED(-0.65), 0, TO_FIXED(0.0105), 200};

static uint32_t pixels[HEIGHT][WIDTH];
static uint32_t sharp[HEIGHT][WIDTH]; /* the picture of one sample a pixel, which the last pass reads */
static uint32_t palette[SHADES];

/* ---- colours ---- */

struct Stop {
    int at; /* of SHADES */
    uint32_t color;
};

static const struct Stop stops[] = {
    {0, 0x04061C}, {150, 0x14389A}, {330, 0x3C96DC}, {450, 0xF2FBFF}, {580, 0xFFC24A},
    {700, 0xD2541E}, {840, 0x571133}, {SHADES, 0x04061C},
};

/* One colour part between two, by a curve that starts and ends flat. */
static uint32_t blend(uint32_t from, uint32_t to, int shift, int32_t part)
{
    enum { UNIT = 1024 };
    int32_t a = (int32_t)(from >> shift & 0xff), b = (int32_t)(to >> shift & 0xff);
    int32_t eased = part * part / UNIT * (3 * UNIT - 2 * part) / UNIT;
    return (uint32_t)(a + (b - a) * eased / UNIT) << shift;
}

static void make_palette(void)
{
    const struct Stop *stop = stops;
    for (int i = 0; i < SHADES; i++) {
        while (i >= stop[1].at)
            stop++;
        int32_t part = (i - stop[0].at) * 1024 / (stop[1].at - stop[0].at);
        uint32_t a = stop[0].color, b = stop[1].color;
        palette[i] = blend(a, b, 16, part) | blend(a, b, 8, part) | blend(a, b, 0, part);
    }
}

/* The binary logarithm with 16 bits after the point; x is not 0. The fraction is good to 1/120. */
static int32_t log2_fixed(uint64_t x)
{
    enum { BEND = 22713 }; /* 0.3466: log2(1 + f) is about f + 0.3466 f (1 - f) */
    int top = 63 - __builtin_clzll(x);
    int32_t f = (int32_t)(top >= 16 ? x >> (top - 16) : x << (16 - top)) & 0xffff;
    int32_t bent = (int32_t)((int64_t)f * (0x10000 - f) >> 16);
    return top << 16 | (f + (int32_t)((int64_t)bent * BEND >> 16));
}

/* The shade of a point that left after n steps at the squared distance size: n - log2(log(distance) / log(4)). */
static uint32_t shade(int n, int64_t size)
{
    int32_t log_of_square = log2_fixed((uint64_t)size) - (2 * POINT_BITS << 16);
    int32_t overshoot = log2_fixed((uint64_t)log_of_square) - (18 << 16);
    int32_t smooth = (n << SHADE_BITS) - (overshoot >> (16 - SHADE_BITS));
    return smooth > 0 ? (uint32_t)smooth : 0;
}

/* Steps between colours grow slower than the count: many iterations must not turn to noise. */
static uint32_t color_of(uint32_t smooth)
{
    uint32_t log = (uint32_t)log2_fixed(smooth + (4u << SHADE_BITS));
    return palette[((log >> 8) + PALETTE_START) % SHADES];
}

/* ---- the set ---- */

/* Inside the large heart or the disc left of it nothing ever leaves. */
static bool is_inside(int32_t x, int32_t y)
{
    int64_t yy = (int64_t)y * y >> POINT_BITS, dx = x - ONE / 4, disc = x + ONE;
    int64_t q = (dx * dx >> POINT_BITS) + yy;
    return q * (q + dx) < (yy << POINT_BITS) / 4 || (disc * disc >> POINT_BITS) + yy < ONE / 16;
}

static uint32_t sample(int32_t cx, int32_t cy, int iterations)
{
    int32_t x = 0, y = 0;
    if (is_inside(cx, cy))
        return 0;
    for (int n = 0; n < iterations; n++) {
        int64_t xx = (int64_t)x * x, yy = (int64_t)y * y;
        if (xx + yy >= ESCAPE)
            return color_of(shade(n, xx + yy));
        y = (int32_t)((int64_t)x * y >> (POINT_BITS - 1)) + cy;
        x = (int32_t)((xx - yy) >> POINT_BITS) + cx;
    }
    return 0;
}

static uint32_t sample_pixel(const struct View *view, int x, int y)
{
    return sample(view->x + (x - WIDTH / 2) * view->step, view->y + (y - HEIGHT / 2) * view->step, view->iterations);
}

/* ---- passes ---- */

static void blocks_row(const struct View *view, int y)
{
    const struct draw_surface screen = {pixels, WIDTH, HEIGHT, 4};
    for (int x = 0; x < WIDTH; x += COARSE)
        draw_fill(&screen, x, y, COARSE, COARSE, sample_pixel(view, x + COARSE / 2, y + COARSE / 2));
}

static void pixels_row(const struct View *view, int y)
{
    for (int x = 0; x < WIDTH; x++)
        pixels[y][x] = sharp[y][x] = sample_pixel(view, x, y);
}

static bool differs(uint32_t a, uint32_t b)
{
    for (int shift = 0; shift < 24; shift += 8) {
        int d = (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
        if (d > ROUGH || d < -ROUGH)
            return true;
    }
    return false;
}

static bool is_rough(int x, int y)
{
    uint32_t here = sharp[y][x];
    return (x > 0 && differs(here, sharp[y][x - 1])) || (x < WIDTH - 1 && differs(here, sharp[y][x + 1])) ||
           (y > 0 && differs(here, sharp[y - 1][x])) || (y < HEIGHT - 1 && differs(here, sharp[y + 1][x]));
}

/* The average of the pixel's own sample and three more, half a pixel aside. */
static uint32_t four_samples(const struct View *view, int x, int y)
{
    int32_t cx = view->x + (x - WIDTH / 2) * view->step, cy = view->y + (y - HEIGHT / 2) * view->step;
    int32_t half = view->step / 2;
    uint32_t even = 0, odd = 0; /* red and blue; green */
    for (int i = 0; i < 4; i++) {
        int32_t sx = cx + (i & 1 ? half : 0), sy = cy + (i & 2 ? half : 0);
        uint32_t color = i == 0 ? sharp[y][x] : sample(sx, sy, view->iterations);
        even += color & 0xff00ff;
        odd += color & 0x00ff00;
    }
    return (even >> 2 & 0xff00ff) | (odd >> 2 & 0x00ff00);
}

static void smooth_row(const struct View *view, int y)
{
    for (int x = 0; x < WIDTH; x++)
        if (is_rough(x, y))
            pixels[y][x] = four_samples(view, x, y);
}

/* Draws the next row of the picture. */
static void advance(struct Job *job, const struct View *view)
{
    if (job->pass == BLOCKS)
        blocks_row(view, job->row);
    else if (job->pass == PIXELS)
        pixels_row(view, job->row);
    else
        smooth_row(view, job->row);
    job->row += job->pass == BLOCKS ? COARSE : 1;
    if (job->row >= HEIGHT) {
        job->pass++;
        job->row = 0;
    }
}

/* ---- the explorer ---- */

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void keep_in_range(struct View *view)
{
    view->step = clamp(view->step, MIN_STEP, MAX_STEP);
    view->iterations = clamp(view->iterations, MIN_ITERATIONS, MAX_ITERATIONS);
    view->x = clamp(view->x, -2 * ONE, 2 * ONE);
    view->y = clamp(view->y, -2 * ONE, 2 * ONE);
}

static void press(struct View *view, uint32_t key)
{
    enum { TAB = '\t', RETURN = '\r', NEWLINE = '\n' };
    switch (key) {
    case 'z': view->step -= view->step / 4; break;
    case 'x': view->step += view->step / 3 + 1; break;
    case 'a': view->iterations -= view->iterations / 4; break;
    case 's': view->iterations += view->iterations / 3; break;
    case TAB: *view = whole_set; break;
    case RETURN: case NEWLINE: *view = first_view; break;
    default: break;
    }
}

static void move(struct View *view, uint32_t held)
{
    int32_t distance = PAN_PIXELS * view->step;
    view->x += held & CONSOLE_RIGHT ? distance : held & CONSOLE_LEFT ? -distance : 0;
    view->y += held & CONSOLE_DOWN ? distance : held & CONSOLE_UP ? -distance : 0;
}

/* The pointer recentres once a click. */
static void click(struct View *view, bool *was_down)
{
    bool down = console_read(CONSOLE_REG_POINTER_BUTTONS) & CONSOLE_POINTER_LEFT;
    if (down && !*was_down) {
        view->x += ((int)console_read(CONSOLE_REG_POINTER_X) - WIDTH / 2) * view->step;
        view->y += ((int)console_read(CONSOLE_REG_POINTER_Y) - HEIGHT / 2) * view->step;
    }
    *was_down = down;
}

static bool same_view(const struct View *a, const struct View *b)
{
    return a->x == b->x && a->y == b->y && a->step == b->step && a->iterations == b->iterations;
}

static void draw_hint(const struct View *view)
{
    const struct draw_surface screen = {pixels, WIDTH, HEIGHT, 4};
    char text[64];
    snprintf(text, sizeof text, "ARROWS MOVE  Z/X ZOOM  A/S DEPTH %d  TAB ALL", view->iterations);
    draw_fill(&screen, 0, HEIGHT - HINT_HEIGHT, WIDTH, HINT_HEIGHT, 0x0A0C1E);
    draw_text(&screen, 4, HEIGHT - HINT_HEIGHT + 2, 1, 0xB8C4E0, text);
}

static void explore(void)
{
    struct View view = first_view;
    struct Job job = {BLOCKS, 0};
    bool pointer_down = false;
    for (;;) {
        struct View before = view;
        for (uint32_t event; (event = console_key_event()) != 0;)
            if (event & CONSOLE_EVENT_PRESSED)
                press(&view, event & CONSOLE_EVENT_KEY);
        move(&view, console_keys());
        click(&view, &pointer_down);
        keep_in_range(&view);
        if (!same_view(&before, &view))
            job = (struct Job){BLOCKS, 0};
        for (uint32_t start = console_time_ms(); job.pass != DONE && console_time_ms() - start < FRAME_BUDGET_MS;)
            advance(&job, &view);
        draw_hint(&view);
        console_vsync();
    }
}

int main(void)
{
    make_palette();
    console_show(pixels, WIDTH, HEIGHT, CONSOLE_FORMAT_XRGB8888);
    if (!console_headless())
        explore();
    for (struct Job job = {PIXELS, 0}; job.pass != DONE;)
        advance(&job, &first_view);
    console_vsync();
    return 0;
}
