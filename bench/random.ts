/** Marsaglia's xorshift32: the same numbers in every run. */
export class Random {
  #state: number;
  constructor(seed = 1) {
    this.#state = seed;
  }
  /** Uniform in [0, 1). */
  uniform(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }
  /** N(0, 1), by Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }
}
