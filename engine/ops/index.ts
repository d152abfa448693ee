import type { Op } from '../op.ts';
import { geluGradOp, geluOp, swigluGradOp, swigluOp } from './activation.ts';
import { attentionGradOp, attentionOp } from './attention.ts';
import { checkpointOp } from './checkpoint.ts';
import { dropoutOp } from './dropout.ts';
import * as elementwise from './elementwise.ts';
import { geluErfGradOp, geluErfOp } from './geluErf.ts';
import { concatOp, fillOp, reshapeOp, splitOp, transposeOp } from './layout.ts';
import { matmulOp } from './matmul.ts';
import { layerNormGradOp, layerNormOp, rmsNormGradOp, rmsNormOp } from './norm.ts';
import { adamwOp, globalNormOp, rmspropOp, sgdOp } from './optimizer.ts';
import { reduceOp, spreadOp } from './reduce.ts';
import { ropeOp } from './rope.ts';
import { gatherRowsOp, scatterAddRowsOp, updateRowsOp } from './rows.ts';
import { unpackOp } from './unpack.ts';
import { weightGradOp } from './weightGrad.ts';
import { softmaxGradOp, softmaxOp, tokenLogProbsGradOp, tokenLogProbsOp } from './tokenLogProbs.ts';

export * from './activation.ts';
export * from './attention.ts';
export * from './checkpoint.ts';
export * from './dropout.ts';
export * from './elementwise.ts';
export * from './geluErf.ts';
export * from './layout.ts';
export * from './matmul.ts';
export * from './norm.ts';
export * from './optimizer.ts';
export * from './reduce.ts';
export * from './rope.ts';
export * from './rows.ts';
export * from './tokenLogProbs.ts';
export * from './unpack.ts';

/** Every op there is. The tests and the backends' kernel tables are driven by this list. */
export const ops = [
  ...[elementwise.negOp, elementwise.expOp, elementwise.logOp, elementwise.sqrtOp, elementwise.squareOp],
  ...[
    elementwise.absOp,
    elementwise.reluOp,
    elementwise.sigmoidOp,
    elementwise.tanhOp,
    elementwise.logSigmoidOp,
  ],
  ...[elementwise.addOp, elementwise.subOp, elementwise.mulOp, elementwise.divOp],
  ...[elementwise.maximumOp, elementwise.minimumOp, elementwise.greaterOp],
  ...[elementwise.affineOp, elementwise.detachOp, checkpointOp],
  ...[reshapeOp, transposeOp, splitOp, concatOp, fillOp, reduceOp, spreadOp],
  ...[gatherRowsOp, scatterAddRowsOp, updateRowsOp, unpackOp],
  ...[
    matmulOp,
    weightGradOp,
    attentionOp,
    attentionGradOp,
    layerNormOp,
    layerNormGradOp,
    rmsNormOp,
    rmsNormGradOp,
    ropeOp,
  ],
  ...[
    geluOp,
    geluGradOp,
    geluErfOp,
    geluErfGradOp,
    swigluOp,
    swigluGradOp,
    tokenLogProbsOp,
    tokenLogProbsGradOp,
    softmaxOp,
    softmaxGradOp,
  ],
  ...[adamwOp, rmspropOp, sgdOp, globalNormOp, dropoutOp],
] as readonly Op[];
