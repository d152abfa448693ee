import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, InputNumbers } from '../../engine/backend.ts';
import type { Program } from '../../engine/compile.ts';
import { compile } from '../../engine/compile.ts';
import { Variable, applyAll } from '../../engine/graph.ts';
import type { Op, Sample, SampleInput } from '../../engine/op.ts';
import * as o from '../../engine/ops/index.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { f32, i32, sizeOf } from '../../engine/shape.ts';
import type { WebGpuDevice } from '../../engine/webgpu/device.ts';
import type { Capabilities } from '../../engine/webgpu/capabilities.ts';
import { link, planFor } from '../../engine/webgpu/link.ts';
import { drawInputs, named, poison, random, relativeError, runOnce, sampleProgram } from './samples.ts';
import { noWebGpu, openWebGpu } from './webgpu.ts';

const WIDTHS = [1, 5, 33, 1030];
const ROWS = [0, 1, 36];
const CAPACITY = 37;

const counted = (shape: readonly number[], more: Partial<SampleInput> = {}): SampleInput => ({
  shape: [CAPACITY, ...shape],
  rows: 'tokens',
  ...more,
});

const byWidth: [Op, (width: number) => readonly SampleInput[], object][] = [
  [o.gatherRowsOp, (w) => [{ shape: [11, w] }, counted([], { int: 11 })], {}],
  [o.scatterAddRowsOp, (w) => [counted([w]), counted([], { int: 3 })], { length: 5, accumulate: [] }],
  [
    o.scatterAddRowsOp,
    (w) => [counted([w]), counted([], { int: 300 }), { shape: [301, w] }],
    { length: 301, accumulate: [0] },
  ],
  [
    o.updateRowsOp,
    (w) => [
      { shape: [60, w] },
      counted([], { dtype: 'i32', values: Array.from({ length: CAPACITY }, (_, i) => (i * 7) % 60) }),
      counted([w]),
    ],
    {},
  ],
];

const HYPER: SampleInput = { shape: [9], values: [0.01, 0.1, 0.9, 0.99, 1e-6, 0.1, 0.01, 0.98, 77] };

/** Capacity, width, vocabulary: few rows and a vocabulary of one; one chunk. */
const HEADS = [
  [3, 1, 1],
  [37, 20, 300],
] as const;

const uniform = (n: number, seed: number): Float32Array => {
  const next = random(seed);
  return Float32Array.from({ length: n }, () => next() * 2 - 1);
};

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is nothing at ${index}`);
  return found;
}

/** What a program gives and makes of variables that start with positive numbers, in two runs. */
async function runTwice(
  device: Device,
  program: Program,
  variables: readonly Variable[],
  inputs: Record<string, InputNumbers>,
) {
  variables.forEach((v, i) => device.write(v, uniform(sizeOf(v.type.shape), i + 1).map(Math.abs)));
  const executable = await device.load(program);
  await executable.run(inputs);
  const outputs = await executable.run(inputs);
  executable.dispose();
  const values = await Promise.all(variables.map(async (v) => [v.name, await device.read(v)] as const));
  return { ...outputs, ...Object.fromEntries(values) };
}

describe.skipIf(noWebGpu !== '')(`rows, optimizers and the head on WebGPU ${noWebGpu}`, () => {
  const reference = new ReferenceDevice();
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await openWebGpu();
  });
  afterAll(() => device.dispose());

  /** One program, run twice with each number of true rows. */
  async function check(op: Op, sample: Sample, trueRows: readonly number[] = [0], tolerance = 2e-5) {
    const program = sampleProgram(op, sample, false);
    await poison(device);
    const executable = await device.load(program);
    for (const tokens of trueRows) {
      const inputs = named(drawInputs({ ...sample, counts: { tokens } }));
      const want = await runOnce(reference, program, inputs);
      const got = await executable.run(inputs);
      const title = `${op.name} [${sample.inputs[0]?.shape.join()}], ${tokens} true rows`;
      for (const [name, numbers] of Object.entries(want))
        expect(relativeError(got[name] ?? [], numbers), `${name} of ${title}`).toBeLessThan(tolerance);
      const again = await executable.run(inputs);
      for (const [name, numbers] of Object.entries(got))
        expect(
          again[name]?.every((x, i) => x === numbers[i]),
          `${name} of ${title} again`,
        ).toBe(true);
    }
    executable.dispose();
  }

  /** The largest error of what a program gives and makes of variables, against the reference backend's. */
  async function errorOf(
    program: Program,
    variables: readonly Variable[],
    inputs: Record<string, InputNumbers>,
  ): Promise<number> {
    const want = await runTwice(reference, program, variables, inputs);
    await poison(device);
    const got = await runTwice(device, program, variables, inputs);
    for (const v of variables) device.free(v);
    return Math.max(...Object.entries(want).map(([name, x]) => relativeError(got[name] ?? [], x)));
  }

  for (const [op, inputs, attrs] of byWidth)
    it(`${op.name} ${JSON.stringify(attrs)}, widths ${WIDTHS.join()} × true rows ${ROWS.join()}`, async () => {
      for (const width of WIDTHS) await check(op, { attrs: { ...attrs }, inputs: inputs(width) }, ROWS);
    });

  it('scatterAddRows sums long runs of one row in order, and narrow rows by group', async () => {
    for (const [width, groups] of [
      [300, 4],
      [2, 9],
      [1, 700],
    ] as const)
      await check(o.scatterAddRowsOp, {
        attrs: { length: groups, accumulate: [] },
        inputs: [{ shape: [700, width] }, { shape: [700], int: groups }],
      });
  });

  it('scatterAddRows and updateRows in place leave other rows as they are', async () => {
    for (const width of [3, 9]) {
      const table = new Variable('table', f32([50, width]));
      const types = { x: f32([20, width], 'tokens'), index: i32([20], 'tokens') };
      const inputs = {
        x: uniform(13 * width, 9),
        index: Int32Array.from({ length: 13 }, (_, i) => (i * 3) % 8),
      };
      const scatter = compile('scatter', types, ({ x, index }) => ({
        outputs: {},
        updates: [{ variable: table, value: o.add(table.tensor, o.scatterAddRows(x, index, table.type)) }],
      }));
      expect(await errorOf(scatter, [table], inputs)).toBeLessThan(2e-6);
      const update = compile('update', types, ({ x, index }) => ({
        outputs: {},
        updates: [{ variable: table, value: o.updateRows(table.tensor, index, x) }],
      }));
      expect(
        await errorOf(update, [table], {
          ...inputs,
          index: Int32Array.from({ length: 13 }, (_, i) => 3 * i),
        }),
      ).toBeLessThan(2e-6);
    }
  });

  for (const [name, dtype] of [
    ...[['adamw', 'f32'] as const, ['adamw', 'bf16'] as const, ['sgd', 'f32'] as const],
    ...[['rmsprop', 'f32'] as const, ['rmsprop', 'bf16'] as const],
  ])
    it(`${name} with moments in ${dtype} out of place, and in place with one dispatch`, async () => {
      const moments = o.momentsOf[name];
      // Where float32's last bit decides, a moment in bf16 is the other neighbour.
      const neighbour = dtype === 'bf16' ? 2 ** -7 : 0;
      for (const n of [1, 3, 4, 1030, 5001]) {
        const tensor: SampleInput = { shape: [n], positive: true };
        const state = Array.from({ length: 1 + moments }, (_, i) => {
          return new Variable(`state${i}`, { shape: [n], dtype: i === 0 ? 'f32' : dtype });
        });
        const sample = {
          attrs: { decay: true, state: dtype },
          inputs: [
            ...[tensor, tensor, ...state.slice(1).map(() => ({ ...tensor, dtype }))],
            ...[HYPER, { shape: [], values: [0.5] }],
          ],
        };
        await check(o.optimizerOps[name], sample, [0], Math.max(2e-5, neighbour));
        const types = { grad: f32([n]), hyper: f32([9]), scale: f32([]) };
        const program = compile(name, types, ({ grad, hyper, scale }) => {
          const [param, ...rest] = state.map((v) => v.tensor);
          const values = param ? o.optimize(name, param, grad, rest, hyper, scale, true) : [];
          return { outputs: {}, updates: values.map((value, i) => ({ variable: at(state, i), value })) };
        });
        expect(link(planFor(program), device.capabilities)).toHaveLength(1);
        const inputs = { grad: uniform(n, 5), hyper: HYPER.values ?? [], scale: [0.7] };
        expect(await errorOf(program, state, inputs)).toBeLessThan(Math.max(2e-6, neighbour));
      }
    });

  it('globalNorm of more tensors than a dispatch binds, small, large and counted', async () => {
    const inputs: SampleInput[] = Array.from({ length: 12 }, (_, i) => ({
      shape: [((i * i * 37) % 501) + 1],
    }));
    await check(
      o.globalNormOp,
      {
        attrs: {},
        inputs: [...inputs, { shape: [70001] }, { shape: [9, 5], rows: 'tokens' }, { shape: [] }],
      },
      [4, 0, 9],
      1e-6,
    );
  });

  for (const [n, c, v] of HEADS)
    it(`tokenLogProbs and its gradient, ${n} rows of width ${c}, vocabulary ${v}`, async () => {
      const head: SampleInput[] = [
        { shape: [n, c], rows: 'tokens' },
        { shape: [v, c] },
        { shape: [n], int: v, rows: 'tokens' },
      ];
      const perRow: SampleInput = { shape: [n], rows: 'tokens' };
      const trueRows = [0, 1, Math.min(n - 1, 36)];
      await check(o.tokenLogProbsOp, { attrs: { statistics: true }, inputs: head }, trueRows);
      const lse: SampleInput = { ...perRow, values: Array.from({ length: 36 }, () => Math.log(v) + 2) };
      for (const accumulate of [[], [1]]) {
        const inputs = [...head, lse, perRow, ...accumulate.map(() => ({ shape: [v, c] }))];
        await check(o.tokenLogProbsGradOp, { attrs: { accumulate }, inputs }, trueRows);
      }
    });

  it('tokenLogProbs in three chunks, its gradient added to a variable in place, and a label outside', async () => {
    // So many rows may come that a chunk has 64 entries; seven come.
    const [n, c, v] = [1 << 18, 3, 150];
    const weight = new Variable('weight', f32([v, c]));
    const gradient = new Variable('gradient', f32([v, c]));
    const types = {
      hidden: f32([n, c], 'tokens'),
      labels: i32([n], 'tokens'),
      lse: f32([n], 'tokens'),
      dLogps: f32([n], 'tokens'),
    };
    const program = compile('head', types, ({ hidden, labels, lse, dLogps }) => {
      const inputs = [hidden, weight.tensor, labels, lse, dLogps, gradient.tensor];
      const [dHidden, dWeight] = applyAll(o.tokenLogProbsGradOp, inputs, { accumulate: [1] });
      if (!dHidden || !dWeight) throw new Error('the gradient has two outputs');
      const head = o.tokenLogProbsWithStatistics(hidden, weight.tensor, labels);
      return { outputs: { dHidden, ...head }, updates: [{ variable: gradient, value: dWeight }] };
    });
    const inputs = {
      hidden: uniform(7 * c, 3),
      labels: [0, 149, 63, 64, 65, 150, 5],
      lse: new Float32Array(7).fill(5),
      dLogps: uniform(7, 4),
    };
    expect(await errorOf(program, [weight, gradient], inputs)).toBeLessThan(2e-6);
  });
});

describe("the head's plan on WebGPU", () => {
  const capabilities: Capabilities = { subgroups: undefined, products: 'f32' };
  const [n, c, v] = [8192, 768, 50257];
  const types = { hidden: f32([n, c], 'labels'), labels: i32([n], 'labels') };
  const weight = new Variable('weight', f32([v, c]));

  it("keeps GPT-2's logits near 64 MiB, in chunks that begin at aligned rows", () => {
    const program = compile('head', types, ({ hidden, labels }) => ({
      outputs: { logps: o.tokenLogProbs(hidden, weight.tensor, labels) },
    }));
    const plan = planFor(program);
    const dispatches = link(plan, capabilities);
    expect(plan.arenaBytes).toBeLessThan(66 << 20);
    expect(dispatches).toHaveLength(2 * 25);
    const chunks = dispatches.flatMap(({ reads }) => (reads['b'] ? [reads['b']] : []));
    expect(chunks.every(({ offset }) => offset % 256 === 0)).toBe(true);
    expect(chunks.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(4 * v * c);
    const flops = dispatches.reduce((sum, d) => sum + (d.flops ?? 0), 0);
    expect(flops).toBe(2 * n * v * c);
  });
});
