import type { Attrs } from '../../op.ts';
import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import { sizeOf } from '../../shape.ts';
import type { Call, Lowering, Operand, Span } from '../call.ts';
import { address, float, int, numberAttr, operand, rowsOf } from '../call.ts';

// As in kernels/norm.ts: rows whose weight gradients are summed into one row of the workspace.
const GRAD_ROWS = 32;

/** C: what is normalised lies along the last dimension. */
const widthOf = ({ shape }: TensorType): number => shape[shape.length - 1] ?? 1;

/** Such rows to one of the first dimension. */
const rowsEach = ({ shape }: TensorType): number => sizeOf(shape.slice(1, -1));

/** A row of C floats for each gradient and each GRAD_ROWS rows. */
const gradWorkspace =
  (gradients: number) =>
  ([x]: readonly TensorType[]): number =>
    x ? 4 * gradients * Math.ceil(((x.shape[0] ?? 0) * rowsEach(x)) / GRAD_ROWS) * widthOf(x) : 0;

const eps = (attrs: Attrs) => float(numberAttr(attrs, 'eps'));

/** Sums the workspace's rows, which hold `gradients` gradients side by side, to the one at `index`. */
const weightGrad = (
  sums: Span,
  index: number,
  gradients: number,
  x: Operand,
  y: Operand,
  base: Operand | undefined,
): Call => {
  const C = widthOf(x.type);
  const fields = [
    address(sums, 4 * index * C),
    int(gradients * C),
    address(y),
    rowsOf(x.type, rowsEach(x.type)),
    int(C),
    address(base),
  ];
  return { kernel: 'normWeightGrad', fields, reads: base ? [sums, base] : [sums], writes: [y] };
};

/** One call over rows: addresses of the inputs and outputs, then T, C and eps. */
const forward = (kernel: string): Lowering => ({
  lower({ inputs, outputs, attrs }) {
    const { type } = operand(inputs, 0);
    const tensors = [...inputs, ...outputs].map((t) => address(t));
    const fields = [...tensors, rowsOf(type, rowsEach(type)), int(widthOf(type)), eps(attrs)];
    return [{ kernel, fields, reads: inputs, writes: outputs }];
  },
});

/** dx from one call over chunks of rows, then each weight's gradient from the chunks' sums. */
const backward = (kernel: string, gradients: number): Lowering => ({
  workspace: gradWorkspace(gradients),
  lower({ inputs, outputs, attrs, workspace }) {
    const [x, dx] = [operand(inputs, 0), operand(outputs, 0)];
    const accumulate = accumulateOf(attrs);
    const own = inputs.slice(0, inputs.length - accumulate.length);
    const tensors = [...own, dx, workspace].map((t) => address(t));
    const base = baseOf(inputs, accumulate, 0);
    const fields = [...tensors, rowsOf(x.type, rowsEach(x.type)), int(widthOf(x.type)), address(base)];
    return [
      { kernel, fields, reads: inputs, writes: [dx, workspace] },
      ...outputs
        .slice(1)
        .map((y, i) => weightGrad(workspace, i, gradients, x, y, baseOf(inputs, accumulate, i + 1))),
    ];
  },
});

export const normLowerings: Record<string, Lowering> = {
  layerNorm: forward('layerNorm'),
  layerNormGrad: backward('layerNormGrad', 2),
  rmsNorm: forward('rmsNorm'),
  rmsNormGrad: backward('rmsNormGrad', 1),
};
