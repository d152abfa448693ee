/** What draws a microbatch's dropout: numbers far apart for neighbouring steps, microbatches and seeds. */
export const dropoutSeed = (seed: number, step: number, microbatch: number): number =>
  (Math.imul(seed, 65537) + Math.imul(microbatch, 0x632be5ab) + step) | 0;
