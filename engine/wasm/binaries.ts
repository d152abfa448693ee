// The kernels' binaries: one source, compiled for each instruction set with two heights of the register tile, for
// machines of 16 and of 32 SIMD registers. All of one instruction set give the same bits, so the faster is taken.
import plain4 from './build/plain4.tile.wasm';
import plain8 from './build/plain8.tile.wasm';
import relaxed6 from './build/relaxed6.tile.wasm';
import relaxed8 from './build/relaxed8.tile.wasm';
import { PrefgradError } from '../errors.ts';
import type { Simd } from './features.ts';
import { chooseSimd } from './features.ts';
import type { TileBinary } from './tileProbe.ts';
import { fastestTile } from './tileProbe.ts';

/** Rows of the register tile, which is 8 columns wide. */
export type TileRows = 4 | 6 | 8;

type Bytes = Uint8Array<ArrayBuffer>;

interface Binary extends TileBinary {
  readonly simd: Simd;
  readonly tileRows: TileRows;
  load(): Promise<{ readonly default: Bytes }>;
}

/** The short tile of an instruction set comes before the tall one: where they are alike, it is taken. */
const binaries: readonly Binary[] = [
  { simd: 'plain', tileRows: 4, tile: plain4, load: () => import('./build/plain4.wasm') },
  { simd: 'plain', tileRows: 8, tile: plain8, load: () => import('./build/plain8.wasm') },
  { simd: 'relaxed', tileRows: 6, tile: relaxed6, load: () => import('./build/relaxed6.wasm') },
  { simd: 'relaxed', tileRows: 8, tile: relaxed8, load: () => import('./build/relaxed8.wasm') },
];

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
    const asked = probed.get(chosen) ?? fastestTile(candidates);
    probed.set(chosen, asked);
    binary = await asked;
  }
  return { simd: chosen, tileRows: binary.tileRows, bytes: (await binary.load()).default };
}
