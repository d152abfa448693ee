import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs, Lowering, Operand } from '../dispatch.ts';
import { cut, cutBytes, groupList, operand, widthOf } from '../dispatch.ts';
import { copyUnlessThere, fillDispatch } from './layout.ts';
import { listDispatch } from './list.ts';

type CountOf = LowerArgs['countOf'];

/** Rows of so few elements are summed by group, where the groups' elements are few. */
const NARROW = 4;
const MOST_ELEMENTS_PER_ENTRY = 4;
/** Columns of one workgroup of sumSorted, and entries of one of sort. */
const COLUMNS = 256;
const ENTRIES = 16;

const entriesOf = (index: TensorType): number => index.shape[0] ?? 0;

/** How many entries the index has. */
const entryConstants = (index: TensorType, countOf: CountOf): Record<string, number> => ({
  PLACE: countOf(index).place,
  CAPACITY: entriesOf(index),
});

/** A dispatch over the elements of `indexed`, which has a row for each entry of the index. */
const elementDispatch = (
  entry: 'gather' | 'replace',
  { x, index, y, indexed }: Record<'x' | 'index' | 'y' | 'indexed', Operand>,
  countOf: CountOf,
): Dispatch =>
  listDispatch(indexed.type, countOf, {
    shader: 'rows',
    entry,
    constants: { WIDTH: widthOf(indexed.type) },
    reads: { x, index },
    writes: { y },
  });

const isNarrow = (x: TensorType, y: TensorType): boolean =>
  widthOf(x) <= NARROW && (y.shape[0] ?? 0) * widthOf(x) <= MOST_ELEMENTS_PER_ENTRY * entriesOf(x);

const sortedSizes = (x: TensorType): number[] => [4 * entriesOf(x), 4 * entriesOf(x)];

const scatterAddRows: Lowering = {
  workspace: ([x]) => (x ? cutBytes(sortedSizes(x)) : 0),
  lower({ inputs, outputs, attrs, countOf, workspace }) {
    const [x, index, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
    const base = baseOf(inputs, accumulateOf(attrs), 0);
    const constants = { ...entryConstants(index.type, countOf), WIDTH: widthOf(x.type) };
    if (isNarrow(x.type, y.type)) {
      const { place: GROUPS_PLACE, capacity: GROUPS } = countOf(y.type);
      return [
        {
          shader: 'rows',
          entry: 'sumGroups',
          constants: { ...constants, GROUPS_PLACE, GROUPS, HAS_BASE: Number(base !== undefined) },
          reads: { x, index, ...(base ? { base } : {}) },
          writes: { y },
          workgroups: (rows) => groupList(rows(y.type) * widthOf(y.type)),
        },
      ];
    }
    const [order, keys] = cut(workspace, sortedSizes(x.type));
    if (!order || !keys) return [];
    const blocks = Math.ceil(widthOf(x.type) / COLUMNS);
    return [
      ...(base ? copyUnlessThere(base, y, countOf) : [fillDispatch(y, 0, countOf)]),
      {
        shader: 'rows',
        entry: 'sort',
        constants: entryConstants(index.type, countOf),
        reads: { index },
        writes: { order, keys },
        workgroups: (rows) => groupList(Math.ceil(rows(index.type) / ENTRIES)),
      },
      {
        shader: 'rows',
        entry: 'sumSorted',
        constants,
        reads: { x, order, keys },
        writes: { y },
        workgroups: (rows) => groupList(rows(index.type) * blocks),
      },
    ];
  },
};

export const rowsLowerings: Record<string, Lowering> = {
  gatherRows: {
    lower({ inputs, outputs, countOf }) {
      const [x, index, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
      return [elementDispatch('gather', { x, index, y, indexed: y }, countOf)];
    },
  },
  scatterAddRows,
  updateRows: {
    lower({ inputs, outputs, countOf }) {
      const [base, index, x] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
      const y = operand(outputs, 0);
      return [
        ...copyUnlessThere(base, y, countOf),
        elementDispatch('replace', { x, index, y, indexed: x }, countOf),
      ];
    },
  },
};
