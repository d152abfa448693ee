import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { GptStep } from '../bench/gptStep.ts';
import type { Result } from '../bench/measurement.ts';
import { median } from '../bench/measurement.ts';
import { fullSections } from '../bench/sections.ts';
import { replaceTables } from '../bench/tables.ts';
import { ReferenceDevice, WasmDevice } from '../engine/index.ts';
import type { Device } from '../engine/index.ts';

const shape = { layers: 2, width: 24, heads: 3, length: 13, batch: 3, vocab: 37 };

async function losses(device: Device, steps: number): Promise<number[]> {
  const step = await GptStep.load(shape, device);
  const all: number[] = [];
  for (let i = 0; i < steps; i++) all.push(await step.run());
  await device.dispose();
  return all;
}

describe('the step of the bench', () => {
  it('trains: it learns its batch, as the reference backend does, with the same bits on any number of threads', async () => {
    const one = await losses(await WasmDevice.create({ threads: 1, simd: 'plain' }), 60);
    expect(one[0]).toBeCloseTo(Math.log(shape.vocab), 0);
    expect(one[59]).toBeLessThan(0.8 * (one[0] ?? 0));
    const reference = await losses(new ReferenceDevice(), 3);
    reference.forEach((loss, i) => expect(one[i]).toBeCloseTo(loss, 4));
    for (const threads of [2, 3])
      expect(await losses(await WasmDevice.create({ threads, simd: 'plain' }), 20)).toEqual(one.slice(0, 20));
  });
});

describe('bench command line', () => {
  it.each([
    [['gemm', '--m', '20', '--n', '24', '--k', '16', '--threads', '2'], 'gflops'],
    [['gpt-step', ...Object.entries(shape).flatMap(([name, value]) => [`--${name}`, `${value}`])], 'ms'],
  ])('%j --json prints one line', async (args, key) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...['bench/run.mjs', ...args, '--seconds', '0.1', '--json'],
    ]);
    expect(stdout).toMatch(/^\{"(gflops|ms)":[\d.e+-]+\}\n$/);
    const answer = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(answer)).toEqual([key]);
    expect(answer[key]).toBeGreaterThan(0);
  });
});

describe('bench results', () => {
  it('takes the middle of the samples', () => {
    expect(median([3, 1, 9])).toBe(3);
    expect(median([4, 1, 3, 9])).toBe(3.5);
    expect(median([])).toBeNaN();
  });

  it('writes the tables between its marks and nothing else', () => {
    const runtime = { name: 'Node 99', command: 'node' };
    const sections = fullSections([runtime]).slice(0, 1);
    const cell = sections[0]?.rows[0]?.cells[1];
    const result: Result = {
      kind: 'gemm',
      options: cell?.options ?? {},
      runtime: runtime.name,
      unit: 'gflops',
      median: 104.4,
      samples: [100, 104.4, 110],
      others: 0.02,
    };
    const noisy = { ...result, others: 0.7, options: sections[0]?.rows[0]?.cells[0]?.options ?? {} };
    const machine = {
      ...{ cpu: 'a CPU', cores: 2, memoryGiB: 8, platform: 'linux x64', commit: 'abc' },
      date: '2030-01-01 00:00',
    };
    const before =
      '# Results\n\nby hand\n\n<!-- written by npm run bench -->\nold\n<!-- end -->\n\nby hand too\n';
    const after = replaceTables(before, machine, sections, [result, noisy]);
    expect(after).toMatch(/^# Results\n\nby hand\n\n<!-- written/);
    expect(after).toMatch(/<!-- end -->\n\nby hand too\n$/);
    expect(after).not.toContain('old');
    expect(after).toContain('| Node 99, relaxed, NN | 104 ~ | 104 |\n| Node 99, relaxed, NT | – |');
    expect(replaceTables(after, machine, sections, [result, noisy])).toBe(after);
    expect(() => replaceTables('no marks', machine, sections, [])).toThrow('no part between');
  });
});
