import { expect } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { parseConfig } from '../../trainer/config.ts';

/** The least that a configuration has. */
export const least = { model: 'm', data: 'd.jsonl' };

/** The sentences of the error that a configuration raises. */
export function mistakes(config: unknown): string[] {
  try {
    parseConfig(config, { source: 'c.yaml' });
  } catch (error) {
    expect(error).toBeInstanceOf(PrefgradError);
    return error instanceof Error ? error.message.split('\n') : [];
  }
  return [];
}
