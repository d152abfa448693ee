import type { Lowering } from '../call.ts';

export const optimizerLowerings: Record<string, Lowering> = {};
