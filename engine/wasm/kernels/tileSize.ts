// Compile-time constants (a file of their own: asc cannot export them from a module).

/** Columns of a register tile: two v128 of a packed panel of B, [k][NR]. */
// @ts-ignore: a compile-time constant
@inline export const NR: i32 = 8;

/** Rows of a register tile, and of a packed panel of A, [k][MR]. Of x64's 16 registers 6x8 with fused multiply-add takes
 *  15 (12 sums, 2 of B, 1 of A); without it a product needs one more, so the tile is 4x8. ARM has 32, of which
 *  8x8 takes 19 or 20. */
// @ts-ignore: TILE_ROWS is given by --use
@inline export const MR: i32 = TILE_ROWS;

/** Longest block of k: a panel of B (8 columns) then takes at most 12 KiB of the 32 KiB L1 cache. */
// @ts-ignore: a compile-time constant
@inline export const KC: i32 = 384;
/** Rows of A that are packed at a time, a multiple of MR: with KC 288 KiB, which stay in L2. Every block of rows reads all of B
 *  from beyond L2, so that fewer rows are slower. */
// @ts-ignore: a compile-time constant
@inline export const MC: i32 = 192;
