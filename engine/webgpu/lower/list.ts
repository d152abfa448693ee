import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs } from '../dispatch.ts';
import { groupList, widthOf } from '../dispatch.ts';

/** Elements of one workgroup (THREADS · EACH of shaders/lists.wgsl). */
const GROUP = 1024;

/** What a dispatch over a list is beside its workgroups. */
export type OverList = Omit<Dispatch, 'constants' | 'workgroups'> & Partial<Pick<Dispatch, 'constants'>>;

/**
 * A dispatch over a list of `width` elements for each true row of a tensor. Only where rows are counted do pipelines
 * differ by the width; `constants` may name it for others.
 */
export function listDispatch(
  type: TensorType,
  countOf: LowerArgs['countOf'],
  dispatch: OverList,
  width = widthOf(type),
): Dispatch {
  const { place: PLACE } = countOf(type);
  const WIDTH = type.rows === undefined ? 1 : width;
  return {
    ...dispatch,
    constants: { PLACE, WIDTH, ...dispatch.constants },
    workgroups: (rows) => groupList(Math.ceil((rows(type) * width) / GROUP)),
  };
}

/** Sizes of the loops over a list but for the outermost one (`loopsAt` of shaders/lists.wgsl). */
export function loopConstants([, SIZE1 = 1, SIZE2 = 1, SIZE3 = 1]: readonly number[]): Record<
  string,
  number
> {
  return { SIZE1, SIZE2, SIZE3 };
}

/** An operand's steps in those loops, as `${name}0` to `${name}3`. */
export const stepConstants = (name: string, steps: readonly number[] = []): Record<string, number> =>
  Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`${name}${i}`, steps[i] ?? 0]));
