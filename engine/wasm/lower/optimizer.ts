import { sizeOf } from '../../shape.ts';
import type { TensorType } from '../../shape.ts';
import type { Lowering } from '../call.ts';
import { address, elementsOf, flag, int, operand } from '../call.ts';

/** Inputs param, grad, moments…, hyper, gradScale and outputs param, moments…; then elements and decay. */
const update = (kernel: string): Lowering => ({
  lower({ inputs, outputs, attrs }) {
    const tensors = [...inputs, ...outputs].map((t) => address(t));
    const fields = [...tensors, elementsOf(operand(inputs, 0).type), flag(attrs.decay === true)];
    return [
      { kernel: attrs.state === 'bf16' ? `${kernel}Bf16` : kernel, fields, reads: inputs, writes: outputs },
    ];
  },
});

// As in kernels/lanes.ts.
const CHUNK = 4096;
const chunksOf = (type: TensorType): number => Math.ceil(sizeOf(type.shape) / CHUNK);

const globalNorm: Lowering = {
  workspace: (inputs) => 8 * inputs.reduce((n, type) => n + chunksOf(type), 0),
  lower({ inputs, outputs, workspace }) {
    let total = 0;
    const chunkCalls = inputs.map((x) => {
      const chunks = chunksOf(x.type);
      const sums = { address: workspace.address + 8 * total, bytes: 8 * chunks };
      total += chunks;
      const fields = [address(x), address(sums), elementsOf(x.type), int(chunks)];
      return { kernel: 'globalNormChunks', fields, reads: [x], writes: [sums] };
    });
    const fields = [address(workspace), int(total), address(operand(outputs, 0))];
    return [...chunkCalls, { kernel: 'globalNorm', fields, reads: [workspace], writes: outputs }];
  },
};

export const optimizerLowerings: Record<string, Lowering> = {
  adamw: update('adamw'),
  rmsprop: update('rmsprop'),
  sgd: update('sgd'),
  globalNorm,
};
