import type { Lowering } from '../dispatch.ts';
import { elementwiseLowerings } from './elementwise.ts';
import { layoutLowerings } from './layout.ts';
import { matmulLowerings } from './matmul.ts';
import { reduceLowerings } from './reduce.ts';

/** How each op runs, by its name. Views run nothing. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  ...elementwiseLowerings,
  ...layoutLowerings,
  ...matmulLowerings,
  ...reduceLowerings,
};
