import { optimizerSteps, type TrainSettings } from '../config.ts';
import type { TokenizedRow } from '../data/tokenized.ts';
import { completionsOf } from '../data/tokenized.ts';
import { actorPull, type PullSettings } from './actorPull.ts';
import { actorWeights, type ActorWeights } from './actorWeights.ts';
import type { RewardResult } from './compute.ts';
import { describeReward, type RewardSummary, type Side } from './summary.ts';
import { sideOf } from './targets.ts';

export interface Inspection {
  readonly completions: number;
  /** Each reward by itself, and R = Σ w r under `total` where there are several. */
  readonly rewards: readonly RewardSummary[];
  /** What HPO's actor loss would weigh completions by; undefined where none has a total. */
  readonly weights: ActorWeights | undefined;
  /** `actorPull`; undefined where nothing is known of the preference loss. */
  readonly pull: number | undefined;
  readonly warnings: readonly RewardWarning[];
}

/** What a user should look at before training. */
export interface RewardWarning {
  readonly code: 'failed' | 'conflict' | 'alike' | 'weights' | 'clipped' | 'weak' | 'strong' | 'off';
  /** Its reward's name; `total` for their sum. */
  readonly reward: string;
  readonly message: string;
}

/** Looks at the rewards of a training set; `result` has those of its completions, in order. */
export function inspect(
  rows: readonly TokenizedRow[],
  { scores, total }: RewardResult,
  settings: TrainSettings,
): Inspection {
  const { hpo } = settings;
  const sides = rows.flatMap(sidesOf);
  const each = [...scores].map(([name, values]) => describeReward(name, values, sides));
  const whole = describeReward('total', total, sides);
  const rewards = each.length > 1 ? [...each, whole] : each;
  const weights = whole.failed < sides.length ? actorWeights(total, hpo) : undefined;
  const tokens = rows.flatMap((row) => completionsOf(row).map(({ ids }) => ids.length));
  const pull = weights && actorPull(total, tokens, settings);
  const { total: steps } = optimizerSteps(settings, rows.length);
  const warnings = [
    ...warningsOf(rewards, weights, sides.length, hpo),
    ...balance(pull, hpo),
    ...warmup(steps, hpo),
  ];
  return { completions: sides.length, rewards, weights, pull, warnings };
}

function sidesOf(row: TokenizedRow, index: number): Side[] {
  return completionsOf(row).map((_, i) => ({
    chosen: sideOf(row, i) === 'chosen',
    pair: row.kind === 'pair' ? index : undefined,
  }));
}

/** Share of completions with one and the same score from which a reward says little. */
const MOSTLY_ALIKE = 0.8;
/** Fewer completions than this share carry the actor loss. */
const FEW = 0.1;
/** More weights than this share are bounded. */
const CLIPPED = 0.01;

function warningsOf(
  rewards: readonly RewardSummary[],
  weights: ActorWeights | undefined,
  completions: number,
  hpo: PullSettings['hpo'],
): RewardWarning[] {
  const warnings: RewardWarning[] = [];
  const warn = (code: RewardWarning['code'], reward: string, message: string) =>
    warnings.push({ code, reward, message });
  for (const { name, failed, verdict, alike, difference, pairs } of rewards) {
    if (failed > 0) warn('failed', name, `${name}: ${failed} of ${completions} completions have no score`);
    if (verdict === 'against')
      warn(
        'conflict',
        name,
        `${name} pulls against the preferences: rejected completions score ${(-(difference ?? 0)).toPrecision(2)} more than chosen ones on average (higher in ${pairs.lower} pairs, lower in ${pairs.higher}); a large hpo.gamma may cost preference accuracy`,
      );
    if (alike > MOSTLY_ALIKE && failed < completions)
      warn(
        'alike',
        name,
        `${name}: ${Math.round(100 * alike)} % of the completions have the same score, so that it says nothing about them`,
      );
  }
  if (weights === undefined) return warnings;
  if (weights.effective < FEW * completions)
    warn(
      'weights',
      'total',
      `hpo.lambda ${hpo.lambda} lets few completions carry the actor loss: ${Math.round(weights.effective)} of ${completions} by effective number; lower it, or standardize rewards with a smaller lambda`,
    );
  if (weights.clipped > CLIPPED)
    warn(
      'clipped',
      'total',
      `hpo.weight_clip ${hpo.weightClip} bounds ${(100 * weights.clipped).toFixed(1)} % of the weights; a smaller hpo.lambda leaves their differences whole`,
    );
  return warnings;
}

/** Pulls of the actor outside of which one goal was not reached, or is not likely to be (docs/rewards.md). */
const [WEAK, STRONG] = [0.03, 1];

function balance(pull: number | undefined, { gamma }: PullSettings['hpo']): RewardWarning[] {
  if (pull === undefined || gamma === 0 || (pull >= WEAK && pull <= STRONG)) return [];
  const shown = (value: number) => String(Number(value.toPrecision(2)));
  const what = `at a token, the actor loss pulls ${shown(pull)} times as hard as the preference loss does at its start`;
  return [
    pull < WEAK
      ? {
          ...{ code: 'weak', reward: 'total' },
          message: `hpo.gamma ${gamma} may change little: ${what} (its mean is over a completion's tokens, which the preference loss sums); hpo.gamma ${shown((0.3 * gamma) / pull)} would make it 0.3`,
        }
      : {
          ...{ code: 'strong', reward: 'total' },
          message: `hpo.gamma ${gamma} may cost preference accuracy: ${what}; hpo.gamma ${shown((0.3 * gamma) / pull)} would make it 0.3`,
        },
  ];
}

function warmup(steps: number, { gamma, actorWarmupSteps }: TrainSettings['hpo']): RewardWarning[] {
  if (gamma === 0 || actorWarmupSteps < steps) return [];
  return [
    {
      ...{ code: 'off', reward: 'total' },
      message: `hpo.actor_warmup_steps ${actorWarmupSteps} leaves none of the ${steps} steps to the actor loss: rewards change nothing; lower it`,
    },
  ];
}
