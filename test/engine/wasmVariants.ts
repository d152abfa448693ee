import { WasmDevice } from '../../engine/wasm/device.ts';

/** WebAssembly's binaries, on several numbers of threads. Those of one instruction set must give the same bits. */
const variants = [
  { simd: 'plain', tileRows: 4, threads: 1 },
  { simd: 'plain', tileRows: 4, threads: 3 },
  { simd: 'plain', tileRows: 8, threads: 2 },
  { simd: 'relaxed', tileRows: 6, threads: 2 },
  { simd: 'relaxed', tileRows: 8, threads: 1 },
] as const;

export const openVariants = (): Promise<WasmDevice[]> =>
  Promise.all(variants.map((options) => WasmDevice.create(options)));

/** What each device gives, and what the first one of its instruction set gives, which must be the same. */
export async function onEach<T>(
  devices: readonly WasmDevice[],
  run: (device: WasmDevice) => Promise<T>,
): Promise<{ name: string; got: T; first: T }[]> {
  const firsts = new Map<string, T>();
  const results: { name: string; got: T; first: T }[] = [];
  for (const device of devices) {
    const got = await run(device);
    const first = firsts.get(device.simd) ?? got;
    firsts.set(device.simd, first);
    results.push({ name: `${device.description}, ${device.tileRows} rows a tile`, got, first });
  }
  return results;
}
