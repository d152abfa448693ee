import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { GptStep } from '../bench/gptStep.ts';
import type { Result } from '../bench/measurement.ts';
import { median } from '../bench/measurement.ts';
import type { Contenders } from '../bench/contenders.ts';
import { barChart } from '../bench/plot.ts';
import { fullSections, ownSections } from '../bench/sections.ts';
import { checkLosses, stepData } from '../bench/stepData.ts';
import { keyOf, plots, replaceTables, table } from '../bench/tables.ts';
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

const runtime = { name: 'Node 99', command: 'node', args: ['main.mjs'] };
const everything: Contenders = {
  node: [runtime],
  others: [{ ...runtime, name: 'Bun 9' }],
  peers: ['jax-js', 'tfjs', 'onnxruntime'],
  python: { ...runtime, name: 'Python 3', versions: { torch: '2', trl: '1', peft: '0' }, bf16: true },
  ...{ dpo: true, missing: [], versions: {} },
};

describe('what others must agree on', () => {
  it('is the step itself: other losses are an error', async () => {
    const data = await stepData(shape);
    expect(data.losses[0]).toBeCloseTo(Math.log(shape.vocab), 1);
    expect(data.weights.get('transformer.h.1.mlp.c_fc.weight')?.shape).toEqual([24, 96]);
    expect(data.tokens).toHaveLength(3 * 13);
    // what a token is followed by
    expect(data.labels.subarray(0, 12)).toEqual(data.tokens.subarray(1, 13));
    checkLosses('another', data, data.losses);
    const [first = 0, ...rest] = data.losses;
    expect(() => checkLosses('another', data, [first, 9, 9])).toThrow(
      `another makes another step than prefgrad: loss 9 at step 2, not ${rest[0]}`,
    );
    expect(() => checkLosses('another', data, [])).toThrow('loss undefined at step 1');
  });
});

describe('bench results', () => {
  it('takes the middle of the samples', () => {
    expect(median([3, 1, 9])).toBe(3);
    expect(median([4, 1, 3, 9])).toBe(3.5);
    expect(median([])).toBeNaN();
  });

  it('has rows of others beside ours where they are installed, and none of them else', () => {
    const titles = (contenders: Contenders) =>
      fullSections(contenders).map(({ title, rows }) => `${title.slice(0, 20)}: ${rows.length}`);
    expect(titles(everything).slice(-6)).toEqual([
      'Runtimes: SGEMM 1024: 2',
      'Beside others: SGEMM: 6',
      'Beside others: the G: 4',
      'DPO end to end: Smol: 8',
      'HPO beside its base : 1',
      'Greedy decoding of o: 2',
    ]);
    const slowBf16 = { ...runtime, versions: { torch: '2', trl: '1', peft: '0' }, bf16: false };
    expect(titles({ ...everything, python: slowBf16 })).toContain('DPO end to end: Smol: 6');
    const alone = { ...everything, others: [], peers: [], python: undefined, dpo: false };
    expect(titles(alone).slice(-3)).toEqual([
      'Runtimes: SGEMM 1024: 1',
      'Beside others: SGEMM: 2',
      'Beside others: the G: 1',
    ]);
  });

  it('shows further numbers of a measurement, and plots a column', () => {
    const sections = fullSections(everything).filter(({ title }) => title.startsWith('DPO'));
    const [ours, theirs] = sections[0].rows.map(({ cells }) => cells[0]);
    const results = [ours, theirs].flatMap((cell, i): Result[] =>
      cell
        ? [
            {
              ...{ kind: cell.kind, options: cell.options, runtime: cell.runtime.name, others: 0 },
              ...{ unit: 'pairs_per_second', median: 0.2 / (i + 1), samples: [0.2 / (i + 1)] },
              also: { seconds_per_pair: 4 + i, peak_gib: 2.5 },
            },
          ]
        : [],
    );
    expect(table(sections[0], results)).toContain(
      '| prefgrad, Node 99, batch 2 | 0.200 | 4.00 | – | 2.50 |\n' +
        '| TRL 1, float32, batch 2, reference in each step | 0.100 | 5.00 | – | 2.50 |\n',
    );
    const svg = plots(sections, results).get('dpo.svg') ?? '';
    expect(svg.match(/<rect/g)).toHaveLength(2);
    expect(svg).toMatch(/width="360\.0" .*fill="#3b82f6"/);
    expect(svg).toMatch(/width="180\.0" .*fill="#9ca3af"/);
    expect(barChart('a < b', [{ label: 'x & y', value: 1, text: '1', ours: true }])).toContain('a &#60; b');
    expect(keyOf(theirs ?? ours ?? expect.fail(), 'P')).toMatch(
      /^P trl-dpo --model \S+ --pairs \S+ --batch 2 /,
    );
  });

  it('writes the tables between its marks and nothing else', () => {
    const sections = ownSections([runtime]).slice(0, 1);
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
