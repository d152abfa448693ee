import { describe, expect, it } from 'vitest';
import {
  formatAlike,
  formatBytes,
  formatChange,
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
} from '../../trainer/report/numbers.ts';
import { ticks } from '../../trainer/report/tradeoff.ts';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [-0, '0'],
    [0.69314718, '0.6931'],
    [-18.568901, '-18.57'],
    [5e-7, '5e-7'],
    [0.000123456, '1.23e-4'],
    [0.001, '0.001'],
    [999.96, '1,000'],
    [49152, '49,152'],
    [1.5e12, '1.50e12'],
    [1e-320, '1e-320'],
    [NaN, '–'],
    [-Infinity, '-∞'],
    [null, '–'],
    [undefined, '–'],
  ])('formatNumber(%s) is %s', (value, expected) => {
    expect(formatNumber(value)).toBe(expected);
  });

  it('formats what is read together alike', () => {
    expect(formatAlike([0.41, 0.8, undefined])).toEqual(['0.41', '0.80', '–']);
    expect(formatAlike([9.1, -34.2718])).toEqual(['9.10', '-34.27']);
    expect(formatAlike([1e-6, 3])).toEqual(['1e-6', '3']);
    expect(formatAlike([])).toEqual([]);
  });

  it('formats changes, percent, bytes, counts and durations', () => {
    expect([0.12, -3, 0, -0].map(formatChange)).toEqual(['+0.12', '-3', '±0', '±0']);
    expect([0.612, 1, NaN, null].map(formatPercent)).toEqual(['61.2 %', '100.0 %', '–', '–']);
    expect([830, 1023, 1024, 13e6, 1.73e9].map(formatBytes)).toEqual([
      '830 B',
      '1023 B',
      '1 KiB',
      '12.4 MiB',
      '1.61 GiB',
    ]);
    expect([812, 1000, 260_032, 134_515_008, 1.7e9].map(formatCount)).toEqual([
      '812',
      '1K',
      '260K',
      '135M',
      '1.7B',
    ]);
    expect([0, 7.4, 754, 3723, NaN].map(formatDuration)).toEqual(['0:00', '0:07', '12:34', '1:02:03', '–']);
  });

  it('puts round ticks around values', () => {
    expect(ticks([0.41, 0.8], 5)).toEqual([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    expect(ticks([0.97, 1], 5, { least: 0, most: 1 }).at(-1)).toBe(1);
    expect(ticks([0], 5).length).toBeGreaterThan(2);
    expect(ticks([-3e9], 5).every(Number.isFinite)).toBe(true);
  });
});
