import type { Lowering } from '../call.ts';

export const softmaxLowerings: Record<string, Lowering> = {};
