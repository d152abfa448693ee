// The kernels' binaries: one source, compiled for each instruction set with two heights of the register tile, for
// machines of 16 and of 32 SIMD registers. All of one instruction set give the same bits, so the faster is taken.
import plain4 from './build/plain4.tile.wasm';
import plain8 from './build/plain8.tile.wasm';
import relaxed6 from './build/relaxed6.tile.wasm';
import relaxed8 from './build/relaxed8.tile.wasm';
import { PrefgradError } from '../errors.ts';
import type { Simd } from './features.ts';
import { chooseSimd } from './features.ts';

/** Rows of the register tile, which is 8 columns wide. */
export type TileRows = 4 | 6 | 8;

type Bytes = Uint8Array<ArrayBuffer>;

interface Binary {
  readonly simd: Simd;
  readonly tileRows: TileRows;
  /** The tile alone (kernels/tile.ts): some hundred bytes. */
  readonly tile: Bytes;
  load(): Promise<{ readonly default: Bytes }>;
}

/** The short tile of an instruction set comes before the tall one. */
const binaries: readonly Binary[] = [
  { simd: 'plain', tileRows: 4, tile: plain4, load: () => import('./build/plain4.wasm') },
  { simd: 'plain', tileRows: 8, tile: plain8, load: () => import('./build/plain8.wasm') },
  { simd: 'relaxed', tileRows: 6, tile: relaxed6, load: () => import('./build/relaxed6.wasm') },
  { simd: 'relaxed', tileRows: 8, tile: relaxed8, load: () => import('./build/relaxed8.wasm') },
];

/** A tile is timed so often, for so many milliseconds: the best of them is one in which nothing else ran. */
const WINDOWS = 16;
const WINDOW = 0.25;
/** Milliseconds for the runtime to optimise the tiles' code, which it does beside, once they have run for a while. */
const OPTIMISING = 5;
/** The tall tile is taken where it is faster by more than noise: on x64 it is far slower, on most of ARM far faster. */
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

async function fastest(candidates: readonly Binary[]): Promise<Binary> {
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

const probed = new Map<Simd, Promise<Binary>>();

/**
 * The binary for this machine: of the instruction set asked for, else relaxed where the runtime has it; with the tile
 * asked for, else the one that is faster here, which takes some milliseconds to find out, once in a process.
 * Errors: a runtime without the instructions, a tile that the instruction set has not.
 */
export async function chooseBinary(
  simd: Simd | 'auto',
  tileRows: TileRows | 'auto',
): Promise<{ readonly simd: Simd; readonly tileRows: TileRows; readonly bytes: Bytes }> {
  const chosen = chooseSimd({ plain: plain4, relaxed: relaxed6 }, simd);
  const candidates = binaries.filter((b) => b.simd === chosen);
  let binary = candidates.find((b) => b.tileRows === tileRows);
  if (binary === undefined && tileRows !== 'auto')
    throw new PrefgradError(
      `tileRows must be ${candidates.map((b) => b.tileRows).join(' or ')} with ${chosen} SIMD, or 'auto'; got ${tileRows}`,
    );
  if (binary === undefined) {
    const asked = probed.get(chosen) ?? fastest(candidates);
    probed.set(chosen, asked);
    binary = await asked;
  }
  return { simd: chosen, tileRows: binary.tileRows, bytes: (await binary.load()).default };
}
