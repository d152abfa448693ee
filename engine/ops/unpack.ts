import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op } from '../op.ts';
import { f32 } from '../shape.ts';
import { defined, one } from './inputs.ts';

export const unpackOp: Op<Record<string, never>> = {
  name: 'unpack',
  unpacks: [0],
  shape: ([x]) => [f32(defined('unpack', x).shape)],
  define([x], [y]) {
    one(y).data.set(one(x).data);
  },
  samples: [],
};

/** A tensor's numbers as f32, whichever way they are stored. No gradient goes through blocks. */
export const unpacked = (x: Tensor): Tensor => (x.type.blocks === undefined ? x : apply(unpackOp, [x], {}));
