import { PrefgradError } from '../errors.ts';

export type Simd = 'plain' | 'relaxed';

interface NodeProcess {
  readonly versions?: { readonly node?: string; readonly bun?: string };
  getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flag: string): void };
}

/** Node's process object, in Node and Bun. Deno has one too but runs workers as browsers do. */
export function nodeProcess(): NodeProcess | undefined {
  const scope: { process?: NodeProcess; Deno?: unknown } = globalThis;
  return scope.Deno === undefined && scope.process?.versions?.node !== undefined ? scope.process : undefined;
}

let flagged = false;

/** Node 20 has relaxed SIMD behind a flag, which must be set before the first compilation. */
function enableRelaxedSimd(): void {
  if (flagged) return;
  flagged = true;
  const node = nodeProcess();
  if (node?.versions?.bun === undefined && Number.parseInt(node?.versions?.node ?? '99', 10) < 22)
    node?.getBuiltinModule?.('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd');
}

/** The instruction set to use: the one asked for, or relaxed SIMD where the runtime has it, by a sample binary of each. */
export function chooseSimd(samples: Readonly<Record<Simd, BufferSource>>, asked: Simd | 'auto'): Simd {
  if (asked === 'plain') return 'plain';
  enableRelaxedSimd();
  const relaxed = WebAssembly.validate(samples.relaxed);
  if (asked === 'relaxed' && !relaxed)
    throw new PrefgradError("this runtime has no relaxed SIMD; use simd: 'plain' or 'auto'");
  if (!relaxed && !WebAssembly.validate(samples.plain))
    throw new PrefgradError('this runtime has no WebAssembly SIMD with threads, which prefgrad needs');
  return relaxed ? 'relaxed' : 'plain';
}

/** Whether memory can be shared with workers: everywhere but on pages that are not cross-origin isolated. */
export function canShare(): boolean {
  const isolated: { crossOriginIsolated?: boolean } = globalThis;
  return typeof SharedArrayBuffer !== 'undefined' && (isolated.crossOriginIsolated ?? true);
}

/** Cores that this process may use. */
export function coreCount(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 2;
}
