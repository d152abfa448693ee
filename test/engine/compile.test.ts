import { describe, expect, it } from 'vitest';
import type { Numbers, Tensor } from '../../engine/index.ts';
import {
  ReferenceDevice,
  ShapeError,
  Variable,
  WasmDevice,
  add,
  affine,
  compile,
  data,
  detach,
  exp,
  f32,
  fill,
  format,
  gatherRows,
  gelu,
  grad,
  i32,
  linear,
  matmul,
  mul,
  rmsNorm,
  sum,
  tensor,
  tokenLogProbs,
} from '../../engine/index.ts';
import { accumulateOf } from '../../engine/ops/inputs.ts';
import { makePlan } from '../../engine/plan.ts';

const bare = { workspace: () => 0, alignment: 64 };
const names = (program: ReturnType<typeof compile>) =>
  program.nodes.map((n) => n.op.name).filter((n) => n !== 'input' && n !== 'variable');
const types = { x: f32([4, 3]) };

describe('compile', () => {
  it('removes what no output needs', () => {
    const program = compile('p', types, ({ x }) => {
      exp(x);
      return { outputs: { y: affine(x, 2) } };
    });
    expect(names(program)).toEqual(['affine']);
  });

  it('computes a common subexpression once', () => {
    const program = compile('p', types, ({ x }) => ({ outputs: { y: mul(exp(x), exp(x)) } }));
    expect(names(program)).toEqual(['exp', 'mul']);
  });

  it('fills each variable where it lies', () => {
    const variables = [1, 2, 3].map((i) => new Variable(`v${i}`, f32([4, 3])));
    const program = compile('p', {}, () => ({
      updates: variables.map((variable) => ({ variable, value: fill(variable.type, 0) })),
    }));
    expect(makePlan(program, bare).copies).toHaveLength(0);
    expect(names(program)).toEqual(['fill', 'fill', 'fill']);
  });

  it('folds a residual and a gradient sum into matmul', () => {
    const weight = new Variable('w', f32([3, 3]));
    const total = new Variable('w.gradient', f32([3, 3]));
    const program = compile('p', types, ({ x }) => {
      const y = add(x, matmul(x, weight.tensor));
      const [dWeight] = grad(sum(y), [weight.tensor]) as [Tensor];
      return { outputs: { y }, updates: [{ variable: total, value: add(total.tensor, dWeight) }] };
    });
    expect(names(program)).not.toContain('add');
    const accumulating = program.nodes.filter(
      (n) => n.op.name === 'matmul' && accumulateOf(n.attrs).length > 0,
    );
    expect(accumulating).toHaveLength(2);
  });

  it('accumulates a tied weight: head and embedding into one variable, without a copy', async () => {
    const [V, C] = [7, 3];
    const weight = new Variable('w', f32([V, C]));
    const total = new Variable('w.gradient', f32([V, C]));
    const inputs = { ids: i32([5]), labels: i32([5]) };
    const trace = (given: { ids: Tensor; labels: Tensor }) => {
      const loss = sum(tokenLogProbs(exp(gatherRows(weight.tensor, given.ids)), weight.tensor, given.labels));
      return grad(loss, [weight.tensor])[0];
    };
    const folded = compile('p', inputs, (given) => ({
      updates: [{ variable: total, value: add(total.tensor, trace(given)) }],
    }));
    expect(names(folded)).not.toContain('add');
    const device = new ReferenceDevice();
    const numbers = Float64Array.from({ length: V * C }, (_, i) => Math.sin(i));
    device.write(weight, numbers);
    device.write(total, numbers);
    const run = { ids: [0, 1, 1, 6, 2], labels: [3, 1, 4, 1, 5] };
    await (await device.load(folded)).run(run);
    const plain = await device.load(compile('q', inputs, (given) => ({ outputs: { d: trace(given) } })));
    const { d } = await plain.run(run);
    const got = await device.read(total);
    got.forEach((g, i) => expect(g).toBeCloseTo((numbers[i] ?? 0) + (d?.[i] ?? NaN), 12));
    // Both terms are added where the sum lies.
    const { steps, copies } = makePlan(folded, bare);
    expect(copies).toHaveLength(0);
    for (const { node, outputs } of steps)
      node.types.forEach((type, i) => {
        if (format(type) === format(total.type))
          expect(outputs[i]).toEqual({ kind: 'variable', variable: total });
      });
  });

  it('refuses an update of another shape', () => {
    const v = new Variable('v', f32([2, 3]));
    expect(() => compile('p', types, ({ x }) => ({ updates: [{ variable: v, value: exp(x) }] }))).toThrow(
      'p: v is [2, 3], its new value [4, 3]',
    );
  });

  it('reads the old value where a variable is updated in the same run', async () => {
    const v = new Variable('v', f32([2]));
    const device = new ReferenceDevice();
    device.write(v, [1, 2]);
    const executable = await device.load(
      compile('p', {}, () => {
        const next = affine(v.tensor, 10);
        return { outputs: { before: affine(v.tensor, 1) }, updates: [{ variable: v, value: next }] };
      }),
    );
    expect([...((await executable.run({})).before ?? [])]).toEqual([1, 2]);
    expect([...(await device.read(v))]).toEqual([10, 20]);
  });
});

describe('the memory plan', () => {
  const chain = (length: number) =>
    compile('p', { x: f32([64, 64]) }, ({ x }) => {
      let y = x;
      for (let i = 0; i < length; i++) y = matmul(y, x);
      return { outputs: { y } };
    });

  it('needs no more memory for a longer chain', () => {
    const bytes = (n: number) => makePlan(chain(n), bare).arenaBytes;
    expect(bytes(20)).toBe(bytes(4));
    expect(bytes(4)).toBe(2 * 64 * 64 * 4);
  });

  it('gives tensors that live at the same time separate memory', () => {
    const program = compile('p', { x: f32([32, 32]) }, ({ x }) => {
      const parts = Array.from({ length: 6 }, (_, i) => exp(affine(x, i + 1)));
      return { outputs: { y: parts.reduce(mul), z: sum(parts[3]) } };
    });
    const { steps } = makePlan(program, { ...bare, workspace: () => 128 });
    const storages = new Set(
      steps.flatMap((s) => [
        ...[...s.inputs, ...s.outputs].flatMap((p) => (p.kind === 'arena' ? [p.storage] : [])),
        ...(s.workspace ? [s.workspace] : []),
      ]),
    );
    const list = [...storages];
    for (const [i, a] of list.entries())
      for (const b of list.slice(i + 1)) {
        const together = a.from <= b.to && b.from <= a.to;
        const overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        expect(together && overlap).toBe(false);
      }
  });

  it('updates a variable in its own memory only when nothing reads the old value later', () => {
    const v = new Variable('v', f32([8, 8]));
    const inPlace = makePlan(
      compile('p', {}, () => ({ updates: [{ variable: v, value: affine(v.tensor, 2) }] })),
      bare,
    );
    expect(inPlace.copies).toHaveLength(0);
    const copied = makePlan(
      compile('p', {}, () => {
        const next = matmul(v.tensor, v.tensor);
        return { updates: [{ variable: v, value: next }] };
      }),
      bare,
    );
    expect(copied.copies).toHaveLength(1);
  });

  it('makes a new value step by step in the variable, from where nothing reads the old value any more', async () => {
    const build = (readsOld: boolean) => {
      const v = new Variable('v', f32([8, 8]));
      const program = compile('p', { x: f32([8, 8]) }, ({ x }) => {
        const first = exp(matmul(v.tensor, x));
        const second = exp(readsOld ? add(first, v.tensor) : first);
        return { updates: [{ variable: v, value: affine(second, 0.5) }] };
      });
      return { v, program };
    };
    const placesOf = ({ program }: ReturnType<typeof build>) =>
      makePlan(program, bare).steps.map((s) => `${s.node.op.name} ${s.outputs[0]?.kind}`);
    expect(placesOf(build(false))).toEqual([
      'matmul arena',
      'exp variable',
      'exp variable',
      'affine variable',
    ]);
    expect(placesOf(build(true))).toEqual([
      ...['matmul arena', 'exp arena', 'add variable', 'exp variable', 'affine variable'],
    ]);
    for (const readsOld of [false, true]) {
      const results: Numbers[] = [];
      for (const device of [new ReferenceDevice(), await WasmDevice.create({ threads: 2, simd: 'plain' })]) {
        const { v, program } = build(readsOld);
        const numbers = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i) / 4);
        device.write(v, numbers);
        await (await device.load(program)).run({ x: numbers });
        results.push(await device.read(v));
        await device.dispose();
      }
      results[0]?.forEach((value, i) => expect(results[1]?.[i]).toBeCloseTo(value, 5));
    }
  });
});

describe('errors name the operation and the cure', () => {
  it('matmul', () => {
    expect(() => matmul(tensor(new Float32Array(32), [4, 8]), tensor(new Float32Array(16), [2, 8]))).toThrow(
      new ShapeError('matmul: inner sizes differ, got [4, 8] × [2, 8]; transpose the second operand?'),
    );
  });
  it('grad of a tensor', () => {
    const x = tensor([1, 2], [2]);
    expect(() => grad(exp(x), [x])).toThrow(
      'grad: the loss must be one number, got [2]; take its sum or mean',
    );
  });
  it('a broadcast', () => {
    expect(() => add(tensor([1, 2], [2]), tensor([1, 2, 3], [3]))).toThrow(
      'add: shapes do not broadcast, got [2] and [3]',
    );
  });
});

describe('data', () => {
  it('computes a small script as it reads', async () => {
    const x = tensor([1, 2, 3, 4], [2, 2]);
    const y = linear(x, tensor([1, 0, 0, 1], [2, 2]), tensor([10, 20], [2]));
    expect([...(await data(y))]).toEqual([11, 22, 13, 24]);
    const [dx] = grad(sum(mul(x, x)), [x]) as [Tensor];
    expect([...(await data(dx, new ReferenceDevice()))]).toEqual([2, 4, 6, 8]);
    expect(format(dx.type)).toBe('[2, 2]');
  });
  it('lets no gradient through detach', async () => {
    const x = tensor([3], []);
    const [dx] = grad(mul(detach(x), x), [x]) as [Tensor];
    expect([...(await data(dx))]).toEqual([3]);
  });
});

describe('gradients that compute cheap activations again', () => {
  const blocks = (recompute: boolean) =>
    compile('blocks', { x: f32([64, 32]), w: f32([32, 32]) }, ({ x, w }) => {
      let y = x;
      const ones = fill(f32([32]), 1);
      for (let i = 0; i < 4; i++) y = add(y, matmul(gelu(matmul(rmsNorm(y, ones, 1e-5), w)), w));
      return { outputs: { dw: grad(sum(y), [w], { recompute })[0] } };
    });
  const run = async (recompute: boolean) => {
    const device = await WasmDevice.create({ threads: 1 });
    const executable = await device.load(blocks(recompute));
    const x = Float32Array.from({ length: 64 * 32 }, (_, i) => Math.sin(i));
    const { dw } = await executable.run({ x, w: x.subarray(0, 32 * 32) });
    await device.dispose();
    return { dw, bytes: executable.arenaBytes };
  };

  it('are the same to the bit, in less memory', async () => {
    const [kept, again] = [await run(false), await run(true)];
    expect(again.dw).toEqual(kept.dw);
    expect(again.bytes).toBeLessThan(0.8 * kept.bytes);
  });
});
