import type { Lowering } from '../call.ts';

export const tokenLogProbsLowerings: Record<string, Lowering> = {};
