import type { Lowering } from '../call.ts';

export const activationLowerings: Record<string, Lowering> = {};
