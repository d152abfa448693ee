import { z } from 'zod';
import type { ScoreFunction } from './reward.ts';

/** A reward that configurations name; its file describes it, builtins.ts lists it. */
export interface BuiltinReward {
  readonly name: string;
  /** Its options beside weight and normalize, in camelCase; descriptions complete "expected …". */
  readonly options: Readonly<Record<string, z.ZodType>>;
  /** What options must have together, completing "expected …"; undefined where they do. */
  readonly needs?: ((options: unknown) => string | undefined) | undefined;
  /** Goes up when the same options give other scores: cached scores are then computed anew. */
  readonly version: number;
  /** Makes the function from options, and loads what it needs; throws a ZodError for options that do not fit. */
  create(options: unknown): Promise<ScoreFunction>;
}

type Checked<Options extends Record<string, z.ZodType>> = z.output<z.ZodObject<Options>>;

export function builtinReward<Options extends Record<string, z.ZodType>>(spec: {
  name: string;
  options: Options;
  needs?: (options: Checked<Options>) => string | undefined;
  version: number;
  create: (options: Checked<Options>) => ScoreFunction | Promise<ScoreFunction>;
}): BuiltinReward {
  const schema = z.object(spec.options);
  const { needs } = spec;
  return {
    ...spec,
    needs: needs && ((options) => needs(schema.parse(options))),
    create: async (options) => spec.create(schema.parse(options)),
  };
}
