import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Numbers, Tensor } from '../../engine/index.ts';
import {
  Variable,
  WebGpuDevice,
  compile,
  f32,
  fill,
  grad,
  hyperValues,
  linear,
  mean,
  optimize,
  square,
  sub,
  tanh,
} from '../../engine/index.ts';
import { noWebGpu, watchedGpu } from './webgpu.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What a device makes from now on. */
function countedCalls(device: GPUDevice) {
  const made = { buffers: 0, groups: 0, pipelines: 0, submits: 0 };
  const { queue } = device;
  const [createBuffer, createBindGroup] = [
    device.createBuffer.bind(device),
    device.createBindGroup.bind(device),
  ];
  const createPipeline = device.createComputePipelineAsync.bind(device);
  const submit = queue.submit.bind(queue);
  device.createBuffer = (descriptor) => (made.buffers++, createBuffer(descriptor));
  device.createBindGroup = (descriptor) => (made.groups++, createBindGroup(descriptor));
  device.createComputePipelineAsync = (descriptor) => (made.pipelines++, createPipeline(descriptor));
  queue.submit = (buffers) => (made.submits++, submit(buffers));
  return made;
}

describe.skipIf(noWebGpu !== '')(`two thousand steps on WebGPU ${noWebGpu}`, () => {
  it('take the same memory and make no buffer or bind group after the second', async () => {
    const { gpu, devices } = await watchedGpu();
    const device = await WebGpuDevice.create({ gpu });
    const raw = devices.at(-1);
    if (!raw) throw new Error('no device was made');
    const made = countedCalls(raw);

    const shapes = { w1: [5, 3], b1: [5], w2: [1, 5], b2: [1] };
    const slots = Object.entries(shapes).map(([name, shape]) =>
      [name, `${name}.m`, `${name}.v`].map((n) => new Variable(n, f32(shape))),
    );
    const program = compile(
      'step',
      { x: f32([8, 3], 'rows'), y: f32([8, 1], 'rows'), hyper: f32([9]) },
      (t) => {
        const parameters = slots.map(([p]) => p?.tensor).filter((p) => p !== undefined);
        const [w1, b1, w2, b2] = parameters;
        const hidden = tanh(linear(t.x, w1, b1));
        const loss = mean(square(sub(linear(hidden, w2, b2), t.y)));
        const one: Tensor = fill(f32([]), 1);
        const updates = grad(loss, parameters).flatMap((d, i) => {
          const [p, ...moments] = slots[i] ?? [];
          if (!p) return [];
          const values = optimize(
            'adamw',
            p.tensor,
            d,
            moments.map((m) => m.tensor),
            t.hyper,
            one,
            true,
          );
          return [p, ...moments].map((variable, k) => ({ variable, value: values[k] ?? d }));
        });
        return { outputs: { loss }, updates };
      },
    );
    slots.forEach(([p], s) => {
      if (p)
        device.write(
          p,
          Array.from({ length: p.type.shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(9 * s + i)),
        );
    });
    const executable = await device.load(program);
    const inputs = (step: number) => {
      const rows = 1 + (step % 8);
      const x = Float32Array.from({ length: 3 * rows }, (_, i) => Math.cos(step + i));
      const y = Float32Array.from({ length: rows }, (_, i) => (x[3 * i] ?? 0) * (x[3 * i + 1] ?? 0));
      const hyper = hyperValues({
        learningRate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        correction1: 1,
        correction2: 1,
      });
      return { x, y, hyper };
    };

    const underWay: Promise<Record<string, Numbers>>[] = [];
    const losses: number[] = [];
    const memory = new Set<number>();
    let [before, heap] = [{ ...made }, 0];
    for (let step = 0; step < 2000; step++) {
      underWay.push(executable.run(inputs(step)));
      if (underWay.length > device.lag) losses.push((await underWay.shift())?.loss?.[0] ?? NaN);
      if (step === 2 + device.lag) before = { ...made };
      if (step === 1000) collect();
      if (step === 1000) heap = process.memoryUsage().heapUsed;
      if (step > 2) memory.add(device.memory.total);
    }
    for (const run of underWay) losses.push((await run).loss?.[0] ?? NaN);
    collect();
    expect(memory.size).toBe(1);
    expect({ ...made, submits: 0 }).toEqual({ ...before, submits: 0 });
    expect(made.submits - before.submits).toBe(2000 - 3 - device.lag);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(1 << 20);
    const meanOf = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(meanOf(losses.slice(-100))).toBeLessThan(0.3 * meanOf(losses.slice(0, 100)));
    await device.dispose();
  }, 200_000);
});
