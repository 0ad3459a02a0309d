/*
 * scene3d: a turning torus knot, three satellites and a field of stars, in fixed point: smooth shading by palette ramps
 * and a depth buffer. The arrows change how fast the scene turns; space stops it.
 */
#include "console.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240, HEADLESS_FRAMES = 60 };
enum { UNIT_BITS = 12, UNIT = 1 << UNIT_BITS }; /* lengths, sines and normals: 12 bits after the point */
enum { CIRCLE = 1024, QUARTER = CIRCLE / 4 };   /* angles */
enum { SUB_BITS = 4, SUB = 1 << SUB_BITS };     /* parts of a pixel in projected points */
enum { FOCUS = 250, CAMERA = 5 * UNIT, DEPTH_RANGE = 1 << 27 };
enum { SEGMENTS = 160, SIDES = 12, TUBE = UNIT * 34 / 100, KNOT_VERTICES = SEGMENTS * SIDES };
enum { SATELLITES = 3, FACES = 8, ORBIT = UNIT * 23 / 10, SATELLITE_SIZE = UNIT * 24 / 100 };
enum { STARS = 360, STAR_DEPTH = 1024, STAR_SHADES = 16 };
enum { SHADES = 48, HUES = 5, FIRST_RAMP = STAR_SHADES, SATELLITE_HUE = HUES - 1, STRIPE = SEGMENTS / 40 };
enum { SLOPE_BITS = 12, AMBIENT = UNIT / 4 };

struct Vector {
    int32_t x, y, z;
};

struct Matrix {
    struct Vector row[3];
};

/* A projected point: place in parts of a pixel, depth (larger is nearer), shade with SLOPE_BITS after the point. */
struct Point {
    int32_t x, y, depth, shade;
};

struct Scene {
    struct Vector knot[KNOT_VERTICES], normals[KNOT_VERTICES];
    struct Vector stars[STARS];
    int pitch, yaw, pitch_speed, yaw_speed;
    int time;
    bool stopped;
    uint32_t last_keys;
};

static uint8_t pixels[HEIGHT][WIDTH];
static uint16_t depths[HEIGHT][WIDTH];
static int32_t sines[CIRCLE];
static struct Scene scene;

/* ---- numbers ---- */

/* Walks round the circle by adding one small angle again and again, with 30 bits after the point. */
static void make_sines(void)
{
    const int64_t cos_step = 1073721611, sin_step = 6588356, half = 1 << 29; /* of 2 pi / CIRCLE, times 2^30 */
    int64_t cosine = 1 << 30, sine = 0;
    for (int i = 0; i < CIRCLE; i++) {
        int64_t next = (cosine * cos_step - sine * sin_step + half) >> 30;
        sines[i] = (int32_t)((sine + (1 << 17)) >> 18);
        sine = (sine * cos_step + cosine * sin_step + half) >> 30;
        cosine = next;
    }
}

static int32_t sin_of(int angle)
{
    return sines[angle & (CIRCLE - 1)];
}

static int32_t cos_of(int angle)
{
    return sin_of(angle + QUARTER);
}

static int32_t multiply(int32_t a, int32_t b)
{
    return (int32_t)((int64_t)a * b >> UNIT_BITS);
}

static uint32_t square_root(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit != 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return (uint32_t)root;
}

static int32_t dot(const struct Vector *a, const struct Vector *b)
{
    return (int32_t)(((int64_t)a->x * b->x + (int64_t)a->y * b->y + (int64_t)a->z * b->z) >> UNIT_BITS);
}

static struct Vector cross(const struct Vector *a, const struct Vector *b)
{
    return (struct Vector){
        multiply(a->y, b->z) - multiply(a->z, b->y),
        multiply(a->z, b->x) - multiply(a->x, b->z),
        multiply(a->x, b->y) - multiply(a->y, b->x),
    };
}

static struct Vector normalized(const struct Vector *v)
{
    int64_t square = (int64_t)v->x * v->x + (int64_t)v->y * v->y + (int64_t)v->z * v->z;
    int32_t length = (int32_t)square_root((uint64_t)square);
    if (length == 0)
        return (struct Vector){UNIT, 0, 0};
    return (struct Vector){v->x * UNIT / length, v->y * UNIT / length, v->z * UNIT / length};
}

static struct Vector rotated(const struct Matrix *m, const struct Vector *v)
{
    return (struct Vector){dot(&m->row[0], v), dot(&m->row[1], v), dot(&m->row[2], v)};
}

/* Turns by yaw about the vertical axis, then by pitch about the horizontal one. */
static struct Matrix rotation(int yaw, int pitch)
{
    int32_t sy = sin_of(yaw), cy = cos_of(yaw), sp = sin_of(pitch), cp = cos_of(pitch);
    return (struct Matrix){{
        {cy, 0, sy},
        {multiply(sp, sy), cp, -multiply(sp, cy)},
        {-multiply(cp, sy), sp, multiply(cp, cy)},
    }};
}

/* ---- models ---- */

/* The middle of the tube: twice round the axis while it goes three times up and down. */
static struct Vector knot_path(int segment)
{
    int t = segment * CIRCLE / SEGMENTS;
    int32_t radius = UNIT * 12 / 10 + multiply(UNIT * 6 / 10, cos_of(3 * t));
    int32_t height = UNIT * 7 / 10 * sin_of(3 * t) / UNIT;
    return (struct Vector){multiply(radius, cos_of(2 * t)), multiply(radius, sin_of(2 * t)), height};
}

/* A ring of vertices about the path, at right angles to it. */
static void make_ring(int segment)
{
    struct Vector here = knot_path(segment), before = knot_path(segment - 1), after = knot_path(segment + 1);
    struct Vector along = {after.x - before.x, after.y - before.y, after.z - before.z};
    along = normalized(&along);
    struct Vector aside = cross(&along, &here);
    aside = normalized(&aside);
    struct Vector up = cross(&along, &aside);
    for (int side = 0; side < SIDES; side++) {
        int32_t c = cos_of(side * CIRCLE / SIDES), s = sin_of(side * CIRCLE / SIDES);
        struct Vector n = {
            multiply(aside.x, c) + multiply(up.x, s),
            multiply(aside.y, c) + multiply(up.y, s),
            multiply(aside.z, c) + multiply(up.z, s),
        };
        scene.normals[segment * SIDES + side] = n;
        scene.knot[segment * SIDES + side] = (struct Vector){
            here.x + multiply(n.x, TUBE), here.y + multiply(n.y, TUBE), here.z + multiply(n.z, TUBE),
        };
    }
}

static void make_star(struct Vector *star, int32_t depth)
{
    star->x = (int32_t)(console_random() % 2048) - 1024;
    star->y = (int32_t)(console_random() % 2048) - 1024;
    star->z = depth;
}

/* ---- triangles ---- */

static int32_t smallest(int32_t a, int32_t b, int32_t c)
{
    return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

static int32_t largest(int32_t a, int32_t b, int32_t c)
{
    return -smallest(-a, -b, -c);
}

/* Twice the area between the edge from a to b and the point (x, y); not negative on the inner side. */
static int32_t edge(const struct Point *a, const struct Point *b, int32_t x, int32_t y)
{
    return (b->x - a->x) * (y - a->y) - (b->y - a->y) * (x - a->x);
}

/* A value that changes evenly over the triangle: at its current pixel, and by how much a pixel right or down. */
struct Slope {
    int32_t value, right, down;
};

static struct Slope slope(const struct Point p[3], const int32_t v[3], int32_t area, int32_t x, int32_t y)
{
    int64_t d1 = v[1] - v[0], d2 = v[2] - v[0];
    int64_t per_x = (d1 * (p[2].y - p[0].y) - d2 * (p[1].y - p[0].y)) * SUB / area;
    int64_t per_y = (d2 * (p[1].x - p[0].x) - d1 * (p[2].x - p[0].x)) * SUB / area;
    int64_t start = v[0] + (per_x * (x - p[0].x) + per_y * (y - p[0].y)) / SUB;
    return (struct Slope){(int32_t)start, (int32_t)per_x, (int32_t)per_y};
}

struct Span {
    struct Slope depth, shade, edges[3];
    int left, right, top, bottom;
};

static uint8_t ramp_color(int ramp, int32_t shade)
{
    int step = shade >> SLOPE_BITS;
    return (uint8_t)(ramp + (step < 0 ? 0 : step >= SHADES ? SHADES - 1 : step));
}

static void fill_row(const struct Span *span, int y, int ramp)
{
    int32_t e0 = span->edges[0].value, e1 = span->edges[1].value, e2 = span->edges[2].value;
    int32_t depth = span->depth.value, shade = span->shade.value;
    for (int x = span->left; x <= span->right; x++) {
        if ((e0 | e1 | e2) >= 0 && depth > depths[y][x]) {
            depths[y][x] = (uint16_t)depth;
            pixels[y][x] = ramp_color(ramp, shade);
        }
        e0 += span->edges[0].right, e1 += span->edges[1].right, e2 += span->edges[2].right;
        depth += span->depth.right, shade += span->shade.right;
    }
}

static void step_down(struct Span *span)
{
    for (int i = 0; i < 3; i++)
        span->edges[i].value += span->edges[i].down;
    span->depth.value += span->depth.down;
    span->shade.value += span->shade.down;
}

/* The pixels a triangle can touch; their middles are what is tested. */
static bool set_bounds(struct Span *span, const struct Point p[3])
{
    int32_t left = smallest(p[0].x, p[1].x, p[2].x) >> SUB_BITS, right = largest(p[0].x, p[1].x, p[2].x) >> SUB_BITS;
    int32_t top = smallest(p[0].y, p[1].y, p[2].y) >> SUB_BITS, bottom = largest(p[0].y, p[1].y, p[2].y) >> SUB_BITS;
    span->left = left < 0 ? 0 : left;
    span->right = right >= WIDTH ? WIDTH - 1 : right;
    span->top = top < 0 ? 0 : top;
    span->bottom = bottom >= HEIGHT ? HEIGHT - 1 : bottom;
    return span->left <= span->right && span->top <= span->bottom;
}

/* Draws a triangle whose corners run clockwise on the screen; the other way round it is seen from behind. */
static void draw_triangle(const struct Point p[3], int ramp)
{
    struct Span span;
    int32_t area = edge(&p[0], &p[1], p[2].x, p[2].y);
    if (area <= 0 || !set_bounds(&span, p))
        return;
    int32_t x = span.left * SUB + SUB / 2, y = span.top * SUB + SUB / 2;
    for (int i = 0; i < 3; i++) {
        const struct Point *a = &p[i], *b = &p[(i + 1) % 3];
        span.edges[i] = (struct Slope){edge(a, b, x, y), -(b->y - a->y) * SUB, (b->x - a->x) * SUB};
    }
    span.depth = slope(p, (const int32_t[]){p[0].depth, p[1].depth, p[2].depth}, area, x, y);
    span.shade = slope(p, (const int32_t[]){p[0].shade, p[1].shade, p[2].shade}, area, x, y);
    for (int row = span.top; row <= span.bottom; row++, step_down(&span))
        fill_row(&span, row, ramp);
}

/* ---- light and projection ---- */

/* Light from above, left and before, with a soft edge behind it; the ramps add the shine at their bright end. */
static int32_t shade_of(const struct Vector *normal)
{
    static const struct Vector light = {-UNIT * 48 / 100, -UNIT * 60 / 100, -UNIT * 64 / 100};
    int32_t facing = dot(normal, &light);
    int32_t brightness = AMBIENT + (facing > 0 ? multiply(facing, UNIT - AMBIENT) : multiply(facing, AMBIENT));
    return brightness * (SHADES - 1);
}

static struct Point project(const struct Vector *v, int32_t shade)
{
    int32_t z = v->z + CAMERA;
    return (struct Point){
        WIDTH / 2 * SUB + v->x * FOCUS / (z / SUB),
        HEIGHT / 2 * SUB + v->y * FOCUS / (z / SUB),
        DEPTH_RANGE / z,
        shade,
    };
}

/* ---- the picture ---- */

static int ramp_of(int hue)
{
    return FIRST_RAMP + hue * SHADES;
}

static void draw_quad(const struct Point *a, const struct Point *b, const struct Point *c, const struct Point *d,
                      int ramp)
{
    draw_triangle((const struct Point[]){*a, *b, *c}, ramp);
    draw_triangle((const struct Point[]){*a, *c, *d}, ramp);
}

static void draw_knot(const struct Matrix *turn)
{
    static struct Point points[KNOT_VERTICES];
    for (int i = 0; i < KNOT_VERTICES; i++) {
        struct Vector place = rotated(turn, &scene.knot[i]), normal = rotated(turn, &scene.normals[i]);
        points[i] = project(&place, shade_of(&normal));
    }
    for (int segment = 0; segment < SEGMENTS; segment++) {
        const struct Point *ring = &points[segment * SIDES], *next = &points[(segment + 1) % SEGMENTS * SIDES];
        for (int side = 0; side < SIDES; side++) {
            int other = (side + 1) % SIDES;
            draw_quad(&ring[side], &next[side], &next[other], &ring[other], ramp_of(segment / STRIPE % SATELLITE_HUE));
        }
    }
}

/* An octahedron: one face for each way to choose an end of each of the three axes. */
static void draw_satellite(const struct Vector *centre, const struct Matrix *spin)
{
    for (int face = 0; face < FACES; face++) {
        int32_t sx = face & 1 ? -1 : 1, sy = face & 2 ? -1 : 1, sz = face & 4 ? -1 : 1;
        struct Vector ends[3] = {{sx * SATELLITE_SIZE, 0, 0}, {0, sy * SATELLITE_SIZE, 0}, {0, 0, sz * SATELLITE_SIZE}};
        struct Vector normal = {sx * UNIT * 577 / 1000, sy * UNIT * 577 / 1000, sz * UNIT * 577 / 1000};
        struct Point p[3];
        normal = rotated(spin, &normal);
        for (int i = 0; i < 3; i++) {
            struct Vector corner = rotated(spin, &ends[i]);
            corner = (struct Vector){corner.x + centre->x, corner.y + centre->y, corner.z + centre->z};
            p[sx * sy * sz < 0 ? 2 - i : i] = project(&corner, shade_of(&normal));
        }
        draw_triangle(p, ramp_of(SATELLITE_HUE));
    }
}

static void draw_satellites(void)
{
    for (int i = 0; i < SATELLITES; i++) {
        int angle = scene.time * 3 + i * CIRCLE / SATELLITES;
        struct Vector place = {
            multiply(ORBIT, cos_of(angle)), multiply(ORBIT / 4, sin_of(2 * angle)), multiply(ORBIT, sin_of(angle)),
        };
        struct Matrix spin = rotation(scene.time * 7 + i * QUARTER, scene.time * 5);
        draw_satellite(&place, &spin);
    }
}

static void draw_stars(void)
{
    for (int i = 0; i < STARS; i++) {
        struct Vector *star = &scene.stars[i];
        int x = WIDTH / 2 + star->x * WIDTH / 2 / star->z, y = HEIGHT / 2 + star->y * WIDTH / 2 / star->z;
        if (x >= 0 && x < WIDTH && y >= 0 && y < HEIGHT)
            pixels[y][x] = (uint8_t)(STAR_SHADES - 1 - star->z * (STAR_SHADES - 2) / STAR_DEPTH);
        star->z -= 3;
        if (star->z <= 0)
            make_star(star, STAR_DEPTH);
    }
}

static void draw_scene(void)
{
    struct Matrix turn = rotation(scene.yaw, scene.pitch);
    memset(pixels, 0, sizeof pixels);
    memset(depths, 0, sizeof depths);
    draw_stars();
    draw_knot(&turn);
    draw_satellites();
}

/* ---- palette ---- */

static uint32_t mix(uint32_t from, uint32_t to, uint32_t part, uint32_t whole)
{
    uint32_t color = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        uint32_t a = from >> shift & 0xff, b = to >> shift & 0xff;
        color |= (a * (whole - part) + b * part) / whole << shift;
    }
    return color;
}

/* From the shadow to the full colour, then to the shine. */
static uint32_t ramp_shade(uint32_t shadow, uint32_t color, uint32_t step)
{
    enum { FULL = SHADES * 2 / 3, SHINE = SHADES - FULL };
    if (step < FULL)
        return mix(shadow, color, step, FULL);
    return mix(color, 0xFFFAF0, (step - FULL) * (step - FULL), SHINE * SHINE);
}

static void make_palette(void)
{
    static const uint32_t hues[HUES] = {0xE8305E, 0xF27A2C, 0xF6BC3E, 0xF27A2C, 0x54D4FF};
    for (uint32_t i = 0; i < STAR_SHADES; i++)
        console_palette((uint8_t)i, mix(0x05060F, 0xF0F4FF, i, STAR_SHADES - 1));
    for (int hue = 0; hue < HUES; hue++)
        for (int step = 0; step < SHADES; step++)
            console_palette((uint8_t)(ramp_of(hue) + step), ramp_shade(0x140A2C, hues[hue], (uint32_t)step));
}

/* ---- the run ---- */

static void set_up(void)
{
    make_sines();
    make_palette();
    for (int segment = 0; segment < SEGMENTS; segment++)
        make_ring(segment);
    for (int i = 0; i < STARS; i++)
        make_star(&scene.stars[i], 1 + i * STAR_DEPTH / STARS);
    scene.yaw_speed = 4;
    scene.pitch_speed = 3;
    scene.pitch = CIRCLE / 16;
}

static void take_keys(void)
{
    uint32_t keys = console_keys(), fresh = keys & ~scene.last_keys;
    scene.last_keys = keys;
    scene.yaw_speed += (fresh & CONSOLE_RIGHT ? 1 : 0) - (fresh & CONSOLE_LEFT ? 1 : 0);
    scene.pitch_speed += (fresh & CONSOLE_DOWN ? 1 : 0) - (fresh & CONSOLE_UP ? 1 : 0);
    scene.stopped ^= (fresh & CONSOLE_A) != 0;
}

static void advance(void)
{
    take_keys();
    if (scene.stopped)
        return;
    scene.yaw += scene.yaw_speed;
    scene.pitch += scene.pitch_speed;
    scene.time++;
}

int main(void)
{
    bool headless = console_headless();
    set_up();
    console_show(pixels, WIDTH, HEIGHT, CONSOLE_FORMAT_PAL8);
    for (int frame = 0; !headless || frame < HEADLESS_FRAMES; frame++) {
        advance();
        draw_scene();
        console_vsync();
    }
    return 0;
}
