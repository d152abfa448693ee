/** WebAssembly's binaries, on several numbers of threads. Those of one instruction set must give the same bits. */
export const wasmVariants = [
  { simd: 'plain', tileRows: 4, threads: 1 },
  { simd: 'plain', tileRows: 4, threads: 3 },
  { simd: 'plain', tileRows: 8, threads: 2 },
  { simd: 'relaxed', tileRows: 6, threads: 2 },
  { simd: 'relaxed', tileRows: 8, threads: 1 },
] as const;
