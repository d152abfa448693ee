// @ts-check
/**
 * @typedef {object} Random
 * @property {() => number} next a number in [0, 1)
 * @property {(n: number) => number} below an integer in [0, n)
 * @property {<T>(list: readonly T[]) => T} pick one item of a list
 * @property {(p: number) => boolean} chance true with probability p
 */

/**
 * A seeded random stream (mulberry32, 32-bit integer arithmetic only): the same on every machine.
 * @param {number} seed
 * @returns {Random}
 */
export function createRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  /** @param {number} n */
  const below = (n) => Math.floor(next() * n);
  return { next, below, pick: (list) => list[below(list.length)], chance: (p) => next() < p };
}
