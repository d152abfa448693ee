import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import { sizeOf } from '../../shape.ts';
import type { CountRows, Dispatch, LowerArgs, Lowering } from '../dispatch.ts';
import { groupList, numberAttr, operand } from '../dispatch.ts';

/** Threads of a workgroup that takes rows. */
export const THREADS = 256;
/** Workgroups that sum weight gradients at most. */
const MOST_GROUPS = 512;
/** As in shaders/norm.wgsl: columns of a workgroup that adds those sums up. */
const SUM_COLUMNS = 16;

/** The power of two from `least` to `most` that is not below `n` where one is. */
const powerFrom = (n: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, 2 ** Math.ceil(Math.log2(n))));

/** Threads that share a row of `width` elements, of which each has `each` if that gives few threads enough. */
export const teamOf = (width: number, each: number, most = THREADS): number =>
  powerFrom(width / each, 16, most);

/** What is normalised lies along the last dimension. */
const lengthOf = ({ shape }: TensorType): number => shape[shape.length - 1] ?? 1;
/** Rows of it to one of the first dimension. */
const rowsEach = ({ shape }: TensorType): number => sizeOf(shape.slice(1, -1));
const capacityOf = ({ shape }: TensorType): number => sizeOf(shape.slice(0, -1));

const rowsOf = (x: TensorType, rows: CountRows): number =>
  x.rows === undefined ? capacityOf(x) : rows(x) * rowsEach(x);

/** Only rows that are not counted make pipelines differ by their number. */
function rowConstants(x: TensorType, countOf: LowerArgs['countOf']): Record<string, number> {
  const counted = x.rows !== undefined;
  const [CAPACITY, EACH] = counted ? [0, rowsEach(x)] : [capacityOf(x), 1];
  return { PLACE: countOf(x).place, CAPACITY, EACH, WIDTH: lengthOf(x) };
}

const forward = (centered: boolean): Lowering => ({
  lower({ inputs, outputs, attrs, countOf }) {
    const [x, weight] = [operand(inputs, 0), operand(inputs, 1)];
    const [y, newRstd] = [operand(outputs, 0), operand(outputs, centered ? 2 : 1)];
    const TEAM = teamOf(lengthOf(x.type), 16);
    return [
      {
        shader: 'norm',
        entry: 'norm',
        constants: {
          ...rowConstants(x.type, countOf),
          ...{ EPS: numberAttr(attrs, 'eps'), CENTERED: Number(centered), TEAM },
        },
        reads: { x, weight, ...(centered ? { bias: operand(inputs, 2) } : {}) },
        writes: { y, newRstd, ...(centered ? { newMean: operand(outputs, 1) } : {}) },
        workgroups: (rows) => groupList(Math.ceil(rowsOf(x.type, rows) / (THREADS / TEAM))),
      },
    ];
  },
});

/** How the gradient's threads share rows, and how many of their sums of weight gradients there are. */
function gradShape(x: TensorType) {
  const width = lengthOf(x);
  const TEAM = teamOf(width, 32, 64);
  const COLUMNS = powerFrom(width, 16, THREADS);
  const groups = (rows: number): number => Math.min(MOST_GROUPS, Math.ceil(rows / (THREADS / TEAM)));
  return { TEAM, COLUMNS, groups };
}

/** dx and the workgroups' sums from one dispatch, the weights' gradients from those by another. */
const backward = (centered: boolean): Lowering => ({
  workspace([x]) {
    if (x === undefined) return 0;
    const { COLUMNS, groups } = gradShape(x);
    return 4 * groups(capacityOf(x)) * (THREADS / COLUMNS) * lengthOf(x) * (centered ? 2 : 1);
  },
  lower({ inputs, outputs, attrs, workspace, countOf }) {
    const [x, dx] = [operand(inputs, 0), operand(outputs, 0)];
    const { TEAM, COLUMNS, groups } = gradShape(x.type);
    const constants = {
      ...rowConstants(x.type, countOf),
      ...{ CENTERED: Number(centered), TEAM, COLUMNS, MOST_GROUPS },
    };
    const [rstd, dy] = [operand(inputs, centered ? 3 : 2), operand(inputs, centered ? 4 : 3)];
    const [dxBase, weightBase, biasBase] = [0, 1, 2].map((o) => baseOf(inputs, accumulateOf(attrs), o));
    const rowGradients: Dispatch = {
      shader: 'norm',
      entry: 'normGrad',
      constants: { ...constants, HAS_DX_BASE: Number(dxBase !== undefined) },
      reads: {
        ...{ x, weight: operand(inputs, 1), rstd, dy, ...(centered ? { mean: operand(inputs, 2) } : {}) },
        ...(dxBase ? { dxBase } : {}),
      },
      writes: { dx, sums: workspace },
      workgroups: (rows) => [groups(rowsOf(x.type, rows))],
    };
    const weightGradients: Dispatch = {
      shader: 'norm',
      entry: 'normWeightGrad',
      constants: {
        ...constants,
        HAS_WEIGHT_BASE: Number(weightBase !== undefined),
        HAS_BIAS_BASE: Number(biasBase !== undefined),
      },
      reads: {
        sums: workspace,
        ...(weightBase ? { weightBase } : {}),
        ...(biasBase ? { biasBase } : {}),
      },
      writes: { dWeight: operand(outputs, 1), ...(centered ? { dBias: operand(outputs, 2) } : {}) },
      workgroups: () => groupList(Math.ceil((lengthOf(x.type) * (centered ? 2 : 1)) / SUM_COLUMNS)),
    };
    return [rowGradients, weightGradients];
  },
});

export const normLowerings: Record<string, Lowering> = {
  layerNorm: forward(true),
  layerNormGrad: backward(true),
  rmsNorm: forward(false),
  rmsNormGrad: backward(false),
};
