import { z } from 'zod';
import type { ScoreFunction } from './reward.ts';

/** A reward that configurations name; its file describes it, builtins.ts lists it. */
export interface BuiltinReward {
  readonly name: string;
  /** Its options beside weight and normalize; descriptions complete "expected …". */
  readonly options: Readonly<Record<string, z.ZodType>>;
  /** Goes up when the same options give other scores: cached scores are then computed anew. */
  readonly version: number;
  /** Makes the function from options; throws a ZodError for options that do not fit. */
  create(options: unknown): ScoreFunction;
}

export function builtinReward<Options extends Record<string, z.ZodType>>(spec: {
  name: string;
  options: Options;
  version: number;
  create: (options: z.output<z.ZodObject<Options>>) => ScoreFunction;
}): BuiltinReward {
  const schema = z.object(spec.options);
  return { ...spec, create: (options) => spec.create(schema.parse(options)) };
}
