import type { TensorType } from '../../shape.ts';
import { sizeOf } from '../../shape.ts';
import type { Dispatch, Lowering } from '../dispatch.ts';
import { cut, cutBytes, operand, widthOf } from '../dispatch.ts';
import { copyUnlessThere } from './layout.ts';
import { listDispatch } from './list.ts';

/** Inputs param, grad, moments…, hyper, gradScale and outputs param, moments…, which are updated where they lie. */
const update = (entry: 'adamw' | 'rmsprop' | 'sgd', moments: number): Lowering => ({
  lower({ inputs, outputs, attrs, countOf }) {
    const state = [operand(inputs, 0), ...inputs.slice(2, 2 + moments)];
    const [param, grad] = [operand(outputs, 0), operand(inputs, 1)];
    const [hyper, gradScale] = [operand(inputs, 2 + moments), operand(inputs, 3 + moments)];
    const packed = attrs.state === 'bf16';
    const moment = packed ? 'packed' : 'moment';
    const written = Object.fromEntries(outputs.slice(1).map((to, i) => [`${moment}${i + 1}`, to]));
    return [
      ...state.flatMap((old, i) => copyUnlessThere(old, operand(outputs, i), countOf)),
      listDispatch(param.type, countOf, {
        shader: 'optimizer',
        entry: packed ? `${entry}Bf16` : entry,
        constants: { DECAY: Number(attrs.decay === true) },
        reads: { grad, hyper, gradScale },
        writes: { param, ...written },
      }),
    ];
  },
});

/** Tensors of one dispatch, which with the sums are the eight bindings that every adapter has. */
const TENSORS = 7;
/** Workgroups that share a tensor: so many elements for each, but no fewer than fill 256 bytes, and no more. */
const ELEMENTS_PER_PART = 4096;
const [FEWEST_PARTS, MOST_PARTS] = [8, 512];

interface Part {
  /** Which inputs, of about the same size. */
  readonly tensors: readonly number[];
  readonly parts: number;
}

function partsOf(types: readonly TensorType[]): Part[] {
  const size = (i: number): number => sizeOf(types[i]?.shape ?? []);
  const counted = (i: number): boolean => types[i]?.rows !== undefined;
  const bySize = [...types.keys()].sort((a, b) => size(b) - size(a) || a - b);
  const whole = bySize.filter((i) => !counted(i));
  const groups = bySize.filter(counted).map((i) => [i]);
  for (let i = 0; i < whole.length; i += TENSORS) groups.push(whole.slice(i, i + TENSORS));
  return groups.map((tensors) => {
    const parts = Math.ceil(size(tensors[0] ?? 0) / ELEMENTS_PER_PART);
    return { tensors, parts: Math.min(MOST_PARTS, Math.max(FEWEST_PARTS, 2 ** Math.ceil(Math.log2(parts)))) };
  });
}

/** Zeros fill an eighth row, so that the sums of all dispatches lie side by side without a gap. */
const partBytes = ({ parts }: Part): number => 4 * parts * (TENSORS + 1);

const globalNorm: Lowering = {
  workspace: (inputs) => cutBytes(partsOf(inputs).map(partBytes)),
  lower({ inputs, outputs, workspace, countOf }) {
    const groups = partsOf(inputs.map((x) => x.type));
    const sizes = groups.map(partBytes);
    const regions = cut(workspace, sizes);
    const squares = groups.map(({ tensors, parts }, g): Dispatch => {
      const first = operand(inputs, tensors[0] ?? 0);
      const { place: PLACE } = countOf(first.type);
      return {
        shader: 'optimizer',
        entry: 'squares',
        constants: { TENSORS: tensors.length, PLACE, WIDTH: first.type.rows ? widthOf(first.type) : 1 },
        reads: Object.fromEntries(tensors.map((t, i) => [`tensor${i}`, operand(inputs, t)])),
        writes: { parts: regions[g] ?? workspace },
        workgroups: () => [parts, TENSORS + 1],
      };
    });
    const parts = { ...workspace, bytes: cutBytes(sizes) };
    return [
      ...squares,
      {
        shader: 'optimizer',
        entry: 'root',
        constants: {},
        reads: { parts },
        writes: { norm: operand(outputs, 0) },
        workgroups: () => [1],
      },
    ];
  },
};

export const optimizerLowerings: Record<string, Lowering> = {
  adamw: update('adamw', 2),
  rmsprop: update('rmsprop', 1),
  sgd: update('sgd', 0),
  globalNorm,
};
