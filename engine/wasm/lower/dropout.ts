import type { Lowering } from '../call.ts';

export const dropoutLowerings: Record<string, Lowering> = {};
