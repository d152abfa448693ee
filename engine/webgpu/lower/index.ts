import { attentionLowerings } from './attention.ts';
import type { Lowering } from '../dispatch.ts';
import { elementwiseLowerings } from './elementwise.ts';
import { layoutLowerings } from './layout.ts';
import { matmulLowerings } from './matmul.ts';
import { reduceLowerings } from './reduce.ts';
import { activationLowerings } from './activation.ts';
import { dropoutLowerings } from './dropout.ts';
import { normLowerings } from './norm.ts';
import { ropeLowerings } from './rope.ts';
import { softmaxLowerings } from './softmax.ts';
import { rowsLowerings } from './rows.ts';
import { optimizerLowerings } from './optimizer.ts';
import { tokenLogProbsLowerings } from './tokenLogProbs.ts';

/** How each op runs, by its name. Views run nothing. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  ...attentionLowerings,
  ...elementwiseLowerings,
  ...layoutLowerings,
  ...matmulLowerings,
  ...reduceLowerings,
  ...activationLowerings,
  ...dropoutLowerings,
  ...normLowerings,
  ...ropeLowerings,
  ...softmaxLowerings,
  ...rowsLowerings,
  ...optimizerLowerings,
  ...tokenLogProbsLowerings,
};
