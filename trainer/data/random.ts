/** One step of splitmix32: spreads a seed over all 32 bits. */
function splitmix(state: number): number {
  let z = (state + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));

/**
 * xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c), seeded with
 * splitmix32. The same seed gives the same numbers on every machine; `state` can be stored and resumed.
 */
export class Random {
  #state: Uint32Array;

  /** Several seeds make one stream: `new Random(seed, epoch)`. */
  constructor(...seeds: number[]) {
    this.#state = new Uint32Array(4);
    let mixed = 0;
    for (const seed of seeds) {
      mixed = splitmix(mixed ^ (seed >>> 0));
      mixed = splitmix(mixed ^ (Math.floor(seed / 2 ** 32) >>> 0));
    }
    for (let i = 0; i < 4; i++) {
      this.#state[i] = splitmix(mixed);
      mixed = (mixed + 0x9e3779b9) | 0;
    }
  }

  static from(state: readonly number[]): Random {
    const random = new Random();
    random.#state = Uint32Array.from(state);
    return random;
  }

  get state(): number[] {
    return [...this.#state];
  }

  /** A whole number from 0 to 2³² − 1. */
  uint32(): number {
    const s = this.#state;
    const result = Math.imul(rotl(Math.imul(s[1], 5), 7), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotl(s[3], 11);
    return result;
  }

  /** A number in [0, 1), of 32 random bits. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 to n − 1, each as likely as the others; n at most 2³². */
  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % n;
  }

  /** The numbers 0 to n − 1 in random order (Fisher and Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
