import type { Lowering } from '../call.ts';
import { elementwiseLowerings } from './elementwise.ts';
import { reduceLowerings } from './reduce.ts';
import { layoutLowerings } from './layout.ts';
import { rowsLowerings } from './rows.ts';
import { matmulLowerings } from './matmul.ts';
import { attentionLowerings } from './attention.ts';
import { normLowerings } from './norm.ts';
import { ropeLowerings } from './rope.ts';
import { activationLowerings } from './activation.ts';
import { tokenLogProbsLowerings } from './tokenLogProbs.ts';
import { softmaxLowerings } from './softmax.ts';
import { optimizerLowerings } from './optimizer.ts';
import { blockLowerings } from './blocks.ts';
import { dropoutLowerings } from './dropout.ts';

/** How each op runs on WebAssembly, by name. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  ...elementwiseLowerings,
  ...reduceLowerings,
  ...layoutLowerings,
  ...rowsLowerings,
  ...matmulLowerings,
  ...blockLowerings,
  ...attentionLowerings,
  ...normLowerings,
  ...ropeLowerings,
  ...activationLowerings,
  ...tokenLogProbsLowerings,
  ...softmaxLowerings,
  ...optimizerLowerings,
  ...dropoutLowerings,
};
