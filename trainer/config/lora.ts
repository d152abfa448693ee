import type { GivenSettings } from './schema.ts';
import type { LoraSettings } from './types.ts';

/** What was given of `lora`; `bias` and `taskType` have one value alone. */
export function completeLora(given: GivenSettings['lora']): LoraSettings | null {
  if (given === undefined || given === null) return null;
  const { adapter = null, bias: _bias, taskType: _taskType, ...rest } = given;
  const said = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { ...(Object.fromEntries(said) as Partial<LoraSettings>), adapter };
}
