import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import {
  ReferenceDevice,
  WasmDevice,
  affine,
  compile,
  f32,
  grad,
  greater,
  mul,
  reshape,
  sub,
  sum,
} from '../../engine/index.ts';

const devices: Device[] = [new ReferenceDevice(), await WasmDevice.create({ threads: 1 })];
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

describe.each(devices)('on $kind', (device) => {
  it('a result does not take the memory of a smaller operand, though both fit into the same aligned bytes', async () => {
    const program = compile('compare', { x: f32([4]) }, ({ x }) => {
      // [4, 1] is computed and read by `greater` alone: 16 bytes where the result needs 64.
      const column = affine(reshape(x, [4, 1]), 2);
      return { outputs: { above: sum(greater(column, reshape(x, [1, 4])), 1) } };
    });
    const executable = await device.load(program);
    const { above } = await executable.run({ x: [3, 1, 4, 2] });
    executable.dispose();
    expect(Array.from(above ?? [])).toEqual([4, 1, 4, 3]);
  });

  it('a gradient is summed over counted rows, of which there may be one', async () => {
    const program = compile('centre', { x: f32([1], 'rows'), shift: f32([]) }, ({ x, shift }) => {
      const loss = sum(mul(sub(x, shift), sub(x, shift)));
      return { outputs: { dShift: grad(loss, [shift])[0] } };
    });
    const executable = await device.load(program);
    const { dShift } = await executable.run({ x: [5], shift: [2] });
    executable.dispose();
    expect(Array.from(dShift ?? [])).toEqual([-6]);
  });
});
