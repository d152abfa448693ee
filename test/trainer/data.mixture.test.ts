import { describe, expect, it } from 'vitest';
import { mix } from '../../trainer/data/mixture.ts';

const part = (name: string, count: number, weight: number) => ({
  name,
  weight,
  rows: Array.from({ length: count }, (_, i) => `${name}${i}`),
});

describe('a mixture', () => {
  it('is as long as it takes to see every row, in the shares that the weights say', () => {
    for (const [a, b, c] of [
      [100, 30, 7],
      [5, 5, 5],
      [1, 40, 2],
    ])
      for (const weights of [
        [1, 1, 1],
        [0.7, 0.2, 0.1],
        [3, 1, 2],
      ]) {
        const parts = [part('a', a, weights[0]), part('b', b, weights[1]), part('c', c, weights[2])];
        const { rows, counts } = mix(parts, 1);
        const sum = weights[0] + weights[1] + weights[2];
        expect(rows).toHaveLength(counts[0] + counts[1] + counts[2]);
        for (const [i, { name, rows: own, weight }] of parts.entries()) {
          expect(Math.abs(counts[i] - (rows.length * weight) / sum)).toBeLessThanOrEqual(1);
          const times = own.map((row) => rows.filter((r) => r === row).length);
          expect(Math.min(...times)).toBeGreaterThanOrEqual(1);
          expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
          // Anywhere in the epoch a part is within two rows of its share.
          let seen = 0;
          for (const [at, row] of rows.entries()) {
            if (row.startsWith(name)) seen++;
            expect(Math.abs(seen - ((at + 1) * counts[i]) / rows.length)).toBeLessThan(2);
          }
        }
        // One of them is not repeated: a shorter epoch would miss some of its rows.
        expect(parts.some(({ rows: own }, i) => counts[i] === own.length)).toBe(true);
      }
  });

  it('keeps the order of each file, and draws the rest of a repetition by the seed', () => {
    const parts = [part('a', 4, 2), part('b', 8, 8 / 3)];
    const { rows } = mix(parts, 1);
    const of = (name: string, from = rows) => from.filter((row) => row.startsWith(name));
    expect(of('b')).toEqual(parts[1].rows);
    expect(of('a').slice(0, 4)).toEqual(parts[0].rows);
    expect(of('a')).toHaveLength(6);
    expect(mix(parts, 1).rows).toEqual(rows);
    const rests = new Set([1, 2, 3, 4, 5, 6].map((seed) => of('a', mix(parts, seed).rows).slice(4).join()));
    expect(rests.size).toBeGreaterThan(1);
    for (const rest of rests) expect(rest.split(',').toSorted()).toEqual(rest.split(','));
  });

  it('refuses a part without rows and weights that are a slip', () => {
    expect(() => mix([part('a', 4, 1), part('b', 0, 1)], 1)).toThrow(
      'b: no row can be used, so it can not be mixed in',
    );
    expect(() => mix([part('a', 4, 1e-3), part('b', 400, 1e3)], 1)).toThrow(
      'data: with these weights an epoch that sees all of the 404 rows has 4.00e+6 rows; choose weights',
    );
  });
});
