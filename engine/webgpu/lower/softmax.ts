import type { Lowering, Operand } from '../dispatch.ts';
import { groupList, operand, widthOf } from '../dispatch.ts';
import { THREADS, teamOf } from './norm.ts';

/** One dispatch over rows; names of the inputs as in shaders/softmax.wgsl. */
const overRows = (entry: string, names: readonly string[]): Lowering => ({
  lower({ inputs, outputs, countOf }) {
    const y: Operand = operand(outputs, 0);
    const [WIDTH, TEAM] = [widthOf(y.type), teamOf(widthOf(y.type), 16)];
    return [
      {
        shader: 'softmax',
        entry,
        constants: { PLACE: countOf(y.type).place, WIDTH, TEAM },
        reads: Object.fromEntries(names.map((name, i) => [name, operand(inputs, i)])),
        writes: { y },
        workgroups: (rows) => groupList(Math.ceil(rows(y.type) / (THREADS / TEAM))),
      },
    ];
  },
});

export const softmaxLowerings: Record<string, Lowering> = {
  softmax: overRows('softmax', ['x']),
  softmaxGrad: overRows('softmaxGrad', ['x', 'dy']),
};
