import { GPU } from 'gpu.js';
import type { IKernelFunctionThis } from 'gpu.js';
import { Random } from '../trainer/data/random.ts';
import type { Effort } from './measure.ts';
import { measure } from './measure.ts';

/** Seconds of gpu.js's own example, a matrix product of n × n, on whatever it chooses here (in Node its WebAssembly mode). */
export async function timeGpuJs(n: number, effort: Effort): Promise<number[]> {
  const gpu = new GPU();
  const multiply = gpu
    .createKernel(function (this: IKernelFunctionThis<{ n: number }>, a: number[][], b: number[][]) {
      let sum = 0;
      for (let i = 0; i < this.constants.n; i++) sum += a[this.thread.y][i] * b[i][this.thread.x];
      return sum;
    })
    .setConstants({ n })
    .setOutput([n, n]);
  const random = new Random(1);
  const matrix = () =>
    Array.from({ length: n }, () => Array.from({ length: n }, () => random.uniform() - 0.5));
  const [a, b] = [matrix(), matrix()];
  try {
    return await measure('gpu.js', () => Promise.resolve(multiply(a, b)), effort);
  } finally {
    await gpu.destroy();
  }
}
