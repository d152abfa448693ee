import type { Lowering } from '../call.ts';

export const normLowerings: Record<string, Lowering> = {};
