/*
 * blocks: a game of falling blocks.
 *
 * Left and right move, up or X turns, down falls faster, Z or space drops, Return starts. The game plays itself until
 * somebody starts; without a window it does so for DEMO_FRAMES frames and ends.
 */
#include "console.h"
#include "draw.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240, DEMO_FRAMES = 900 };
enum { COLUMNS = 10, ROWS = 20, CELL = 11, BOARD_X = 105, BOARD_Y = 10, KINDS = 7, CELLS = 4, NONE = 0 };
enum { LINES_PER_LEVEL = 10, SLOWEST_FALL = 42, FALL_STEP = 4, FASTEST_FALL = 3, SOFT_FALL = 2 };
enum { FLASH_FRAMES = 18, REPEAT_DELAY = 12, REPEAT_RATE = 3, DEMO_PACE = 3 };

enum Mode { DEMO, PLAYING, OVER };

struct Piece {
    uint8_t kind; /* 1 to KINDS, also its colour */
    int8_t x, y, turn;
};

struct Game {
    enum Mode mode;
    uint8_t board[ROWS][COLUMNS]; /* kind of the piece that filled the cell, or NONE */
    struct Piece piece;
    uint8_t next, bag[KINDS];
    int bag_left, fall_timer, flash, flash_rows; /* flash_rows: bit r is set when row r is complete */
    uint32_t score, best, lines;
    struct Piece plan; /* where the demo wants the piece to go */
    uint32_t held_frames, last_keys;
};

static uint16_t pixels[HEIGHT][WIDTH], backdrop[HEIGHT][WIDTH];
static const struct draw_surface screen = {pixels, WIDTH, HEIGHT, 2};

/* The cells of each kind in a box of the given size, around whose centre it turns. */
static const struct {
    int8_t size, cells[CELLS][2];
} shapes[KINDS + 1] = {
    {0, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}}, {4, {{0, 1}, {1, 1}, {2, 1}, {3, 1}}}, {2, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}},
    {3, {{1, 0}, {0, 1}, {1, 1}, {2, 1}}}, {3, {{1, 0}, {2, 0}, {0, 1}, {1, 1}}}, {3, {{0, 0}, {1, 0}, {1, 1}, {2, 1}}},
    {3, {{0, 0}, {0, 1}, {1, 1}, {2, 1}}}, {3, {{2, 0}, {0, 1}, {1, 1}, {2, 1}}},
};

static const uint32_t colors[KINDS + 1] = {
    0x10162E, 0x2FC8E6, 0xF4CF3C, 0xB45CE8, 0x55D06A, 0xEE4E5E, 0x4A7CF0, 0xF59A36,
};

/* ---- pieces ---- */

static void cell_of(const struct Piece *piece, int i, int *x, int *y)
{
    int size = shapes[piece->kind].size, cx = shapes[piece->kind].cells[i][0], cy = shapes[piece->kind].cells[i][1];
    for (int turn = 0; turn < piece->turn; turn++) {
        int old = cx;
        cx = size - 1 - cy;
        cy = old;
    }
    *x = piece->x + cx;
    *y = piece->y + cy;
}

static bool fits(const struct Game *game, const struct Piece *piece)
{
    for (int i = 0; i < CELLS; i++) {
        int x, y;
        cell_of(piece, i, &x, &y);
        if (x < 0 || x >= COLUMNS || y >= ROWS || (y >= 0 && game->board[y][x] != NONE))
            return false;
    }
    return true;
}

static bool try_move(struct Game *game, int dx, int dy, int turn)
{
    struct Piece moved = game->piece;
    moved.x = (int8_t)(moved.x + dx);
    moved.y = (int8_t)(moved.y + dy);
    moved.turn = (int8_t)((moved.turn + turn) & 3);
    if (!fits(game, &moved))
        return false;
    game->piece = moved;
    return true;
}

/* Beside a wall a piece may step aside to turn. */
static void turn(struct Game *game)
{
    static const int8_t aside[] = {0, -1, 1, -2, 2};
    for (size_t i = 0; i < sizeof aside; i++)
        if (try_move(game, aside[i], 0, 1))
            return;
}

static struct Piece dropped(const struct Game *game, struct Piece piece)
{
    while (fits(game, &piece))
        piece.y++;
    piece.y--;
    return piece;
}

static void place(uint8_t board[ROWS][COLUMNS], const struct Piece *piece)
{
    for (int i = 0; i < CELLS; i++) {
        int x, y;
        cell_of(piece, i, &x, &y);
        if (y >= 0)
            board[y][x] = piece->kind;
    }
}

/* Every kind comes once before any comes again. */
static uint8_t draw_kind(struct Game *game)
{
    if (game->bag_left == 0)
        for (uint8_t kind = 1; kind <= KINDS; kind++)
            game->bag[game->bag_left++] = kind;
    uint32_t pick = console_random() % (uint32_t)game->bag_left;
    uint8_t kind = game->bag[pick];
    game->bag[pick] = game->bag[--game->bag_left];
    return kind;
}

/* ---- rules ---- */

static uint32_t level(const struct Game *game)
{
    return 1 + game->lines / LINES_PER_LEVEL;
}

static int fall_delay(const struct Game *game)
{
    int delay = SLOWEST_FALL - FALL_STEP * ((int)level(game) - 1);
    return delay < FASTEST_FALL ? FASTEST_FALL : delay;
}

static bool is_full(const uint8_t row[COLUMNS])
{
    return memchr(row, NONE, COLUMNS) == NULL;
}

static int full_rows(uint8_t board[ROWS][COLUMNS])
{
    int rows = 0;
    for (int y = 0; y < ROWS; y++)
        rows |= is_full(board[y]) << y;
    return rows;
}

static void remove_rows(uint8_t board[ROWS][COLUMNS], int rows)
{
    for (int y = 0; y < ROWS; y++)
        if (rows >> y & 1) {
            memmove(board[1], board[0], (size_t)y * COLUMNS);
            memset(board[0], NONE, COLUMNS);
        }
}

static void end_game(struct Game *game)
{
    if (game->mode == PLAYING && game->score > game->best)
        game->best = game->score;
    game->mode = game->mode == DEMO ? DEMO : OVER;
}

static void plan_demo(struct Game *game);

static void start(struct Game *game, enum Mode mode)
{
    uint32_t best = game->best;
    *game = (struct Game){.mode = mode, .best = best};
    game->next = draw_kind(game);
}

static void next_piece(struct Game *game)
{
    int size = shapes[game->next].size;
    game->piece = (struct Piece){.kind = game->next, .x = (int8_t)((COLUMNS - size) / 2), .y = -1};
    game->next = draw_kind(game);
    game->fall_timer = fall_delay(game);
    if (!fits(game, &game->piece)) {
        end_game(game);
        game->piece.kind = NONE;
        if (game->mode == DEMO)
            start(game, DEMO);
    } else if (game->mode == DEMO) {
        plan_demo(game);
    }
}

static void settle(struct Game *game)
{
    place(game->board, &game->piece);
    game->piece.kind = NONE;
    game->flash_rows = full_rows(game->board);
    game->flash = game->flash_rows != 0 ? FLASH_FRAMES : 0;
}

static void score_rows(struct Game *game)
{
    static const uint16_t points[] = {0, 100, 300, 500, 800};
    int rows = __builtin_popcount((unsigned)game->flash_rows);
    remove_rows(game->board, game->flash_rows);
    game->score += points[rows] * level(game);
    game->lines += (uint32_t)rows;
    game->flash_rows = 0;
}

static void drop(struct Game *game)
{
    struct Piece target = dropped(game, game->piece);
    game->score += 2 * (uint32_t)(target.y - game->piece.y);
    game->piece = target;
    settle(game);
}

static void fall(struct Game *game, int delay)
{
    if (game->fall_timer > delay)
        game->fall_timer = delay;
    if (--game->fall_timer > 0)
        return;
    game->fall_timer = fall_delay(game);
    if (!try_move(game, 0, 1, 0))
        settle(game);
}

/* ---- the demo: tries every column and turn, and takes the flattest result ---- */

static int badness(uint8_t board[ROWS][COLUMNS])
{
    enum { HEIGHT_COST = 51, LINE_GAIN = 76, HOLE_COST = 90, STEP_COST = 18 };
    int rows = full_rows(board), cost = -LINE_GAIN * __builtin_popcount((unsigned)rows), last = -1;
    remove_rows(board, rows);
    for (int x = 0; x < COLUMNS; x++) {
        int top = 0;
        while (top < ROWS && board[top][x] == NONE)
            top++;
        for (int y = top; y < ROWS; y++)
            cost += board[y][x] == NONE ? HOLE_COST : 0;
        int height = ROWS - top, step = last < 0 ? 0 : height - last;
        cost += HEIGHT_COST * height + STEP_COST * (step < 0 ? -step : step);
        last = height;
    }
    return cost;
}

static void plan_demo(struct Game *game)
{
    int best = INT32_MAX;
    struct Piece tried = game->piece;
    for (tried.turn = 0; tried.turn < 4; tried.turn++)
        for (tried.x = -2; tried.x < COLUMNS; tried.x++) {
            uint8_t board[ROWS][COLUMNS];
            if (!fits(game, &tried))
                continue;
            struct Piece target = dropped(game, tried);
            memcpy(board, game->board, sizeof board);
            place(board, &target);
            int cost = badness(board);
            if (cost < best) {
                best = cost;
                game->plan = target;
            }
        }
}

/* One step towards the plan every DEMO_PACE frames. */
static void play_demo(struct Game *game)
{
    if (console_frame() % DEMO_PACE != 0)
        return;
    if (game->piece.turn != game->plan.turn && try_move(game, 0, 0, 1))
        return;
    int dx = game->plan.x - game->piece.x;
    if (dx == 0 || !try_move(game, dx < 0 ? -1 : 1, 0, 0))
        drop(game);
}

/* ---- the player ---- */

/* The keys that act in this frame: new ones, and the sideways ones again while they are held. */
static uint32_t acting_keys(struct Game *game)
{
    uint32_t keys = console_keys(), fresh = keys & ~game->last_keys;
    game->held_frames = keys == game->last_keys ? game->held_frames + 1 : 0;
    game->last_keys = keys;
    if (game->held_frames >= REPEAT_DELAY && game->held_frames % REPEAT_RATE == 0)
        fresh |= keys & (CONSOLE_LEFT | CONSOLE_RIGHT);
    return fresh;
}

static void play(struct Game *game, uint32_t acting)
{
    if (acting & CONSOLE_LEFT)
        try_move(game, -1, 0, 0);
    if (acting & CONSOLE_RIGHT)
        try_move(game, 1, 0, 0);
    if (acting & (CONSOLE_UP | CONSOLE_B))
        turn(game);
    if (acting & CONSOLE_A)
        drop(game);
}

static void advance(struct Game *game)
{
    uint32_t acting = acting_keys(game);
    if (game->mode != PLAYING && acting & CONSOLE_START) {
        uint32_t keys = game->last_keys;
        start(game, PLAYING);
        game->last_keys = keys;
    }
    if (game->mode == OVER)
        return;
    if (game->flash > 0) {
        if (--game->flash == 0)
            score_rows(game);
        return;
    }
    if (game->piece.kind == NONE)
        next_piece(game);
    else if (game->mode == DEMO)
        play_demo(game);
    else
        play(game, acting);
    if (game->piece.kind != NONE && game->mode != OVER)
        fall(game, game->last_keys & CONSOLE_DOWN && game->mode == PLAYING ? SOFT_FALL : SLOWEST_FALL);
}

/* ---- picture ---- */

/* A colour made lighter or darker: strength is in parts of 256. */
static uint16_t shaded(uint32_t rgb, uint32_t strength)
{
    uint32_t red = (rgb >> 16 & 0xff) * strength >> 8, green = (rgb >> 8 & 0xff) * strength >> 8;
    uint32_t blue = (rgb & 0xff) * strength >> 8;
    return draw_rgb565(red > 255 ? 255 : red, green > 255 ? 255 : green, blue > 255 ? 255 : blue);
}

static void draw_cell(int x, int y, uint32_t rgb)
{
    draw_fill(&screen, x, y, CELL - 1, CELL - 1, shaded(rgb, 150));
    draw_fill(&screen, x, y, CELL - 2, CELL - 2, shaded(rgb, 340));
    draw_fill(&screen, x + 1, y + 1, CELL - 3, CELL - 3, shaded(rgb, 256));
    draw_fill(&screen, x + 2, y + 2, CELL - 6, 2, shaded(rgb, 300));
}

static void draw_board_cell(int column, int row, uint32_t rgb)
{
    if (row >= 0)
        draw_cell(BOARD_X + column * CELL, BOARD_Y + row * CELL, rgb);
}

static void draw_outline(int column, int row, uint32_t rgb)
{
    int x = BOARD_X + column * CELL, y = BOARD_Y + row * CELL;
    if (row < 0)
        return;
    draw_fill(&screen, x, y, CELL - 1, CELL - 1, shaded(rgb, 120));
    draw_fill(&screen, x + 1, y + 1, CELL - 3, CELL - 3, shaded(colors[NONE], 256));
}

static void draw_piece(const struct Piece *piece, void (*draw)(int, int, uint32_t))
{
    for (int i = 0; i < CELLS; i++) {
        int x, y;
        cell_of(piece, i, &x, &y);
        draw(x, y, colors[piece->kind]);
    }
}

static void draw_board(const struct Game *game)
{
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < COLUMNS; x++) {
            bool flashing = game->flash_rows >> y & 1 && game->flash & 4;
            if (game->board[y][x] != NONE)
                draw_board_cell(x, y, flashing ? 0xFFFFFF : colors[game->board[y][x]]);
        }
    if (game->piece.kind == NONE)
        return;
    struct Piece shadow = dropped(game, game->piece);
    draw_piece(&shadow, draw_outline);
    draw_piece(&game->piece, draw_board_cell);
}

static void draw_number(int y, const char *title, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "%lu", (unsigned long)value);
    draw_text(&screen, 12, y, 1, shaded(0x8FA3D8, 256), title);
    draw_text(&screen, 12, y + 11, 2, shaded(0xFFFFFF, 256), text);
}

static void draw_next(uint8_t kind)
{
    draw_text(&screen, 232, 22, 1, shaded(0x8FA3D8, 256), "NEXT");
    for (int i = 0; i < CELLS; i++)
        draw_cell(232 + shapes[kind].cells[i][0] * CELL, 38 + shapes[kind].cells[i][1] * CELL, colors[kind]);
}

static void draw_keys(void)
{
    static const char *const lines[] = {"ARROWS  MOVE", "UP/X    TURN", "SPACE   DROP", "RETURN  START"};
    for (int i = 0; i < 4; i++)
        draw_text(&screen, 232, 180 + 12 * i, 1, shaded(0x6678A8, 256), lines[i]);
}

static void draw_banner(const char *large, const char *small)
{
    int middle = BOARD_X + COLUMNS * CELL / 2;
    draw_fill(&screen, BOARD_X - 1, 84, COLUMNS * CELL + 1, 46, shaded(0x0A0E22, 256));
    draw_text_centred(&screen, middle, 92, 2, shaded(0xFFD75A, 256), large);
    if (console_frame() / 30 % 2 == 0 || console_headless())
        draw_text_centred(&screen, middle, 115, 1, shaded(0xFFFFFF, 256), small);
}

static void draw_game(const struct Game *game)
{
    memcpy(pixels, backdrop, sizeof pixels);
    draw_board(game);
    draw_number(22, "SCORE", game->score);
    draw_number(62, "LINES", game->lines);
    draw_number(102, "LEVEL", level(game));
    draw_number(142, "BEST", game->best);
    draw_next(game->next);
    draw_keys();
    if (game->mode == OVER)
        draw_banner("GAME OVER", "PRESS RETURN");
    else if (game->mode == DEMO)
        draw_banner("BLOCKS", "PRESS RETURN");
}

static void paint_backdrop(void)
{
    const struct draw_surface to = {backdrop, WIDTH, HEIGHT, 2};
    for (int y = 0; y < HEIGHT; y++)
        draw_fill(&to, 0, y, WIDTH, 1, shaded(0x26315E, 110 + 146 * (uint32_t)y / HEIGHT));
    for (int i = 0; i < 3; i++)
        draw_fill(&to, BOARD_X - 4 + i, BOARD_Y - 4 + i, COLUMNS * CELL + 7 - 2 * i, ROWS * CELL + 7 - 2 * i,
                  shaded(0x7288D0, 256 - 70 * (uint32_t)i));
    draw_fill(&to, BOARD_X - 1, BOARD_Y - 1, COLUMNS * CELL + 1, ROWS * CELL + 1, shaded(0x0C1022, 256));
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < COLUMNS; x++)
            draw_fill(&to, BOARD_X + x * CELL, BOARD_Y + y * CELL, CELL - 1, CELL - 1, shaded(colors[NONE], 256));
}

int main(void)
{
    static struct Game game;
    bool headless = console_headless();
    paint_backdrop();
    start(&game, DEMO);
    console_show(pixels, WIDTH, HEIGHT, CONSOLE_FORMAT_RGB565);
    for (int frame = 0; !headless || frame < DEMO_FRAMES; frame++) {
        advance(&game);
        draw_game(&game);
        console_vsync();
    }
    return 0;
}
