// Times register tiles against each other on the machine at hand: which is faster depends on its SIMD registers.

export interface TileBinary {
  /** The tile alone (kernels/tile.ts): some hundred bytes. */
  readonly tile: Uint8Array<ArrayBuffer>;
  readonly tileRows: number;
}

/** A tile is timed so often, for so many milliseconds: the best of them is one in which nothing else ran. */
const WINDOWS = 16;
const WINDOW = 0.25;
/** Milliseconds for the runtime to optimise the tiles' code, which it does beside, once they have run for a while. */
const OPTIMISING = 5;
/** A later tile is taken where it is faster by more than noise. */
const CLEARLY = 1.1;

/** The tile's operands in its memory: a panel of A [INNER][rows], one of B [INNER][8], and C [rows][8]. */
const INNER = 256;
const [A, B, C] = [1024, 1024 + 4 * 8 * INNER, 1024 + 8 * 8 * INNER];

/** kernels/micro.ts */
type Tile = (
  ...numbers: [a: number, b: number, bStep: number, c: number, ldc: number, k: number, init: 0, ldi: 0]
) => void;

/** Calls in a millisecond, from one tick of the clock to another: a page's clock may have ticks of a millisecond. */
function callRate(tile: Tile): number {
  const before = performance.now();
  let start = before;
  while (start === before) start = performance.now();
  let [end, calls] = [start, 0];
  while (end - start < WINDOW) {
    for (let i = 0; i < 4; i++) tile(A, B, 32, C, 32, INNER, 0, 0);
    calls += 4;
    end = performance.now();
  }
  return calls / (end - start);
}

/** The candidate whose tile computes most rows in a time; a later one only where it is clearly faster. */
export async function fastestTile<T extends TileBinary>(candidates: readonly T[]): Promise<T> {
  const tiles = await Promise.all(
    candidates.map(async (binary) => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      const { instance } = await WebAssembly.instantiate(binary.tile, { env: { memory } });
      return { binary, tile: instance.exports['tile'] as Tile, rowRate: 0 };
    }),
  );
  for (const { tile } of tiles) callRate(tile);
  await new Promise((resolve) => setTimeout(resolve, OPTIMISING));
  for (let window = 0; window < WINDOWS; window++)
    for (const t of tiles) t.rowRate = Math.max(t.rowRate, callRate(t.tile) * t.binary.tileRows);
  const { binary } = tiles.reduce((best, t) => (t.rowRate > CLEARLY * best.rowRate ? t : best));
  return binary;
}
