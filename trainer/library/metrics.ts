/** Metrics of every step. */
export const stepMetricNames = [
  ...['loss', 'grad_norm', 'learning_rate', 'num_tokens', 'epoch', 'memory/bytes'],
] as const;

/** Metrics that some losses have, under TRL's names, HPO's among them. */
export const lossMetricNames = [
  ...['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'rewards/accuracies'],
  ...['logps/chosen', 'logps/rejected', 'kl', 'nll_loss', 'log_odds_ratio', 'log_odds_chosen'],
  ...['loss/preference', 'loss/actor', 'loss/value', 'value/mean', 'advantage/mean'],
  ...['weight/clipped', 'weight/chosen', 'weight/rejected', 'grad_norm/value', 'learning_rate/value'],
] as const;

/** What a step measured: TRL's names, each completion's reward under `auxiliary/<name>/<chosen|rejected>`. */
export type Metrics = Readonly<Record<(typeof stepMetricNames)[number], number>> &
  Readonly<Partial<Record<(typeof lossMetricNames)[number], number>>> & {
    readonly [auxiliary: `auxiliary/${string}`]: number | undefined;
  };

/** Numbers by name as `Metrics`; one that every step has is NaN where it is missing. */
export function typedMetrics(numbers: Readonly<Record<string, number>>): Metrics {
  const of = (name: (typeof stepMetricNames)[number]) => numbers[name] ?? NaN;
  return {
    ...numbers,
    loss: of('loss'),
    grad_norm: of('grad_norm'),
    learning_rate: of('learning_rate'),
    num_tokens: of('num_tokens'),
    epoch: of('epoch'),
    'memory/bytes': of('memory/bytes'),
  };
}
