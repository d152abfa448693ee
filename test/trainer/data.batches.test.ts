import { describe, expect, it } from 'vitest';
import { contentHash, sha256 } from '../../trainer/data/hash.ts';
import { batches, Random } from '../../trainer/data/index.ts';

describe('batches', () => {
  const rows = Array.from({ length: 10 }, (_, i) => `row ${i}`);
  const options = { batchSize: 4, seed: 7, epochs: 3 };

  it('in order, the last one smaller', () => {
    const all = [...batches(rows, { ...options, strategy: 'sequential', epochs: 1 })];
    expect(all.map(({ indices }) => indices)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(all.map(({ last }) => last)).toEqual([false, false, true]);
    expect(all[2].rows).toEqual(['row 8', 'row 9']);
    expect(all[2].next).toEqual({ epoch: 1, index: 0 });
  });

  it('in another order each epoch, every row once', () => {
    const all = [...batches(rows, { ...options, strategy: 'random' })];
    const orders = [0, 1, 2].map((epoch) =>
      all.filter((batch) => batch.epoch === epoch).flatMap(({ indices }) => indices),
    );
    for (const order of orders)
      expect([...order].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(new Set(orders.map(String)).size).toBe(3);
    const other = [...batches(rows, { ...options, seed: 8, strategy: 'random' })];
    expect(other.map(({ indices }) => indices)).not.toEqual(all.map(({ indices }) => indices));
  });

  it('go on from any position as if never stopped', () => {
    const all = [...batches(rows, { ...options, strategy: 'random' })];
    all.forEach(({ next }, i) => {
      const rest = [...batches(rows, { ...options, strategy: 'random', start: next })];
      expect(rest).toEqual(all.slice(i + 1));
    });
  });

  it('never end without a number of epochs', () => {
    const endless = batches(['only'], { batchSize: 2, seed: 0, strategy: 'random' });
    for (let i = 0; i < 5; i++) expect(endless.next().value).toMatchObject({ epoch: i, rows: ['only'] });
  });

  it('refuse no rows, and a position beyond them', () => {
    expect(() => [...batches([], { ...options, strategy: 'random' })]).toThrow('no rows');
    expect(() => [
      ...batches(rows, { ...options, strategy: 'random', start: { epoch: 0, index: 10 } }),
    ]).toThrow('resume with the data');
  });
});

describe('Random', () => {
  it('is xoshiro128**', () => {
    // The first numbers of the reference C code from the state 1, 2, 3, 4.
    const random = Random.from([1, 2, 3, 4]);
    expect([1, 2, 3, 4].map(() => random.uint32())).toEqual([11520, 0, 5927040, 70819200]);
  });

  it('goes on from a stored state', () => {
    const random = new Random(42);
    random.uint32();
    const copy = Random.from(random.state);
    expect(Array.from({ length: 8 }, () => copy.uint32())).toEqual(
      Array.from({ length: 8 }, () => random.uint32()),
    );
  });

  it('gives other numbers for other seeds, and for each of several', () => {
    const first = (...seeds: number[]) => new Random(...seeds).uint32();
    const all = [first(0), first(1), first(2 ** 32), first(0, 0), first(0, 1), first(1, 0)];
    expect(new Set(all).size).toBe(6);
  });

  it('draws evenly', () => {
    const random = new Random(3);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i++) counts[random.below(6)]++;
    // Six standard deviations of a binomial count.
    for (const count of counts)
      expect(Math.abs(count - 10_000)).toBeLessThan(6 * Math.sqrt((60_000 * 5) / 36));
  });

  it('permutes evenly', () => {
    const random = new Random(9);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const key = random.permutation(4).join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(6 * Math.sqrt(1000));
  });
});

describe('hashes', () => {
  it('are SHA-256', async () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await sha256('abc')).toBe(abc);
    expect(await sha256(Uint8Array.of(97, 98, 99))).toBe(abc);
  });

  it('are those of the JSON text, of lists of any length too', async () => {
    const long = Array.from({ length: 10_000 }, (_, i) => ({ ids: [i, i + 1], ü: [] }));
    expect(await contentHash({ b: long, c: undefined, a: {} })).toBe(
      await sha256(JSON.stringify({ a: {}, b: long })),
    );
    expect(await contentHash(long)).toBe(await sha256(JSON.stringify(long)));
  });

  it('do not depend on the order of keys, but on everything else', async () => {
    const hash = await contentHash({ a: 1, b: { c: [1, 2], d: 'x' } });
    expect(await contentHash({ b: { d: 'x', c: [1, 2] }, a: 1 })).toBe(hash);
    for (const other of [
      { a: 1, b: { c: [2, 1], d: 'x' } },
      { a: '1', b: { c: [1, 2], d: 'x' } },
      { a: 1 },
      undefined,
      null,
      '',
    ]) {
      expect(await contentHash(other)).not.toBe(hash);
    }
  });
});
