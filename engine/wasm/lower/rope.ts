import type { Lowering } from '../call.ts';

export const ropeLowerings: Record<string, Lowering> = {};
