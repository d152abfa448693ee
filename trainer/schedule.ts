export type ScheduleType = 'linear' | 'cosine' | 'constant' | 'constant_with_warmup';

/**
 * Factor of the learning rate at an optimizer step, counted from 0, as Transformers has it: up from 0 over the
 * warm-up, then down to 0 at the last step (linear, cosine) or level. `constant` has no warm-up.
 */
export function scheduleFactor(
  type: ScheduleType,
  step: number,
  warmupSteps: number,
  totalSteps: number,
): number {
  if (type === 'constant') return 1;
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  if (type === 'constant_with_warmup') return 1;
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return type === 'cosine'
    ? Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)))
    : Math.max(0, 1 - progress);
}
