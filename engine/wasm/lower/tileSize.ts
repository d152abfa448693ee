// The sizes of kernels/tileSize.ts that a product's memory depends on.

/** NR: columns of one packed panel of B. */
export const PANEL = 8;
/** KC: the longest block of k. */
export const K_BLOCK = 384;
/** Rows of A that one thread packs at a time, at most: all of MC where it is alone, half of it beside others. */
export const rowBlock = (threads: number): number => (threads > 1 ? 96 : 192);
/** Rows of a register tile divide this, whichever the binary. */
const TILE_ROWS = 24;

/** Bytes of a thread's scratch for gemmBlock: one register tile, and `rows` of A by a block of k. */
export const blockScratch = (rows: number, k: number): number =>
  256 + 4 * Math.ceil(rows / TILE_ROWS) * TILE_ROWS * Math.min(k, K_BLOCK);
