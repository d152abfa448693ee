import type { TrainSettings } from './config.ts';
import type { MetricsLine } from './metrics.ts';
import { nonFinite } from './metrics.ts';

/** Something that a run's user must know. */
export interface RunWarning {
  /** Tells warnings apart, each of which is told once. */
  readonly code: string;
  readonly message: string;
  readonly step?: number;
}

/** R of all training completions. */
export interface RewardRange {
  readonly min: number;
  readonly max: number;
  /** The τ-expectile, where V settles that knows nothing of prompts. */
  readonly baseline: number;
}

export interface WatchOptions {
  readonly settings: Pick<TrainSettings, 'method' | 'beta' | 'hpo'>;
  /** Whether `rewards/*` are β times log-ratios to a reference. */
  readonly usesReference: boolean;
  /** For HPO. */
  readonly rewards?: RewardRange | undefined;
}

/** KL: the share of the reference's log-probability of the data that the model has lost, chosen and rejected together. */
const LOST_SHARE = 0.25;
/** KL: nats that KTO's own estimate reaches (completions of other prompts, log π/π_ref). */
const KL_NATS = 10;
/** The share of the reference's log-probability of chosen completions that is lost while the margin grows. */
const CHOSEN_SHARE = 0.1;
/** The share of HPO's weights exp(λA) that stand at weight_clip. */
const CLIPPED_SHARE = 0.05;
/** How far outside the rewards' range the value head's mean lies, in widths of that range. */
const OUTSIDE = 0.1;
/** By how much V's distance from the rewards' expectile scales HPO's weights before it is told. */
const SCALED = 4;
/** A condition holds in this many logged lines in a row before it is told. */
const LINES = 2;

/**
 * Watches a run's logged lines for what its user must know, and says each thing once, with the cure:
 *
 * - `kl`: the model leaves the reference fast. Chosen and rejected completions together have lost a quarter of the
 *   log-probability that the reference gives them (Σ log π_ref − log π over |Σ log π_ref|), or KTO's estimate has
 *   reached 10 nats. What DPO does on purpose, pushing rejected completions down, stays well below that.
 * - `likelihood`: chosen completions have lost a tenth of the reference's log-probability while the margin grows
 *   (arXiv 2402.13228 shows how DPO does that).
 * - `weights_clipped`: 5 % of the actor's weights stand at hpo.weight_clip, so that they no longer tell completions apart.
 * - `value_head`: once the actor loss is on, the mean of V lies outside of all rewards by a tenth of their range: every
 *   advantage has one sign then.
 * - `value_scale`: the mean of V is off the rewards' τ-expectile by so much that all weights exp(λ(R − V)) are four times
 *   as large, or as small, as they would be there: γ in effect is another one.
 * - `not_finite`: a metric is NaN or infinite. This one is told at its first line, the others when two lines in a row say it.
 */
export class RunWatch {
  readonly #raised = new Set<string>();
  readonly #lines = new Map<string, number>();
  #firstMargin: number | undefined;

  constructor(private readonly options: WatchOptions) {}

  /** Takes what an earlier part of the run has logged and told, which is not told again. */
  resume(lines: readonly MetricsLine[], told: readonly { code?: string }[]): void {
    for (const line of lines) this.see(line);
    for (const { code } of told) if (code !== undefined) this.#raised.add(code);
  }

  /** The warnings of those given that have not been told yet. */
  once(warnings: readonly RunWarning[]): RunWarning[] {
    const fresh = warnings.filter(({ code }) => !this.#raised.has(code));
    for (const { code } of fresh) this.#raised.add(code);
    return fresh;
  }

  /** What a logged line gives cause to say. */
  see(line: MetricsLine): RunWarning[] {
    const { step } = line;
    const said = this.once(notFinite(line));
    const messages: [string, string | undefined][] = [
      ['kl', this.#kl(line)],
      ['likelihood', this.#likelihood(line)],
      ['weights_clipped', this.#clipped(line)],
      ['value_head', this.#valueHead(line)],
      ['value_scale', this.#valueScale(line)],
    ];
    for (const [code, message] of messages) {
      const lines = message === undefined ? 0 : (this.#lines.get(code) ?? 0) + 1;
      this.#lines.set(code, lines);
      if (message !== undefined && lines >= LINES) said.push(...this.once([{ code, message, step }]));
    }
    return said;
  }

  /** log π − log π_ref of a side's completions and log π_ref itself, in nats; undefined where they are not known. */
  #side(line: MetricsLine, side: 'chosen' | 'rejected'): { ratio: number; reference: number } | undefined {
    const { usesReference, settings } = this.options;
    const [reward, logp] = [line[`rewards/${side}`], line[`logps/${side}`]];
    if (!usesReference || settings.beta === 0 || !isNumber(reward) || !isNumber(logp)) return undefined;
    const ratio = reward / settings.beta;
    return { ratio, reference: logp - ratio };
  }

  #kl(line: MetricsLine): string | undefined {
    const cure = 'lower learning_rate, raise beta, or stop earlier (early_stopping_patience)';
    const { kl } = line;
    if (isNumber(kl) && kl > KL_NATS)
      return `the model leaves the reference fast: its KL estimate is ${shown(kl)} nats; ${cure}`;
    const [chosen, rejected] = [this.#side(line, 'chosen'), this.#side(line, 'rejected')];
    if (!chosen || !rejected) return undefined;
    const lost = -(chosen.ratio + rejected.ratio) / 2;
    const before = Math.abs(chosen.reference + rejected.reference) / 2;
    if (lost <= LOST_SHARE * before) return undefined;
    return (
      `the model leaves the reference fast (KL): chosen and rejected completions have lost ${shown(lost)} nats on average ` +
      `of the reference's ${shown(before)}; ${cure}`
    );
  }

  #likelihood(line: MetricsLine): string | undefined {
    const chosen = this.#side(line, 'chosen');
    const margin = line['rewards/margins'];
    if (!chosen || !isNumber(margin)) return undefined;
    this.#firstMargin ??= margin;
    const lost = -chosen.ratio;
    const share = lost / Math.abs(chosen.reference);
    if (share <= CHOSEN_SHARE || margin <= 0 || margin < this.#firstMargin) return undefined;
    const { method, hpo } = this.options.settings;
    const paired = method !== 'kto' && !(method === 'hpo' && hpo.base === 'kto');
    return (
      `chosen completions become less likely while the margin grows: they have lost ${shown(lost)} nats, ${percent(share)} of their ` +
      `log-probability; lower learning_rate${paired ? ', raise beta, or add SFT on them (loss_type: [sigmoid, sft])' : ' or raise beta'}`
    );
  }

  #clipped(line: MetricsLine): string | undefined {
    const share = line['weight/clipped'];
    const { weightClip, gamma, lambda } = this.options.settings.hpo;
    if (!isNumber(share) || share <= CLIPPED_SHARE || gamma === 0) return undefined;
    return (
      `${percent(share)} of the actor's weights are clipped at hpo.weight_clip ${weightClip}, so that they tell these completions ` +
      `apart no longer; lower hpo.lambda (${lambda}), or raise hpo.weight_clip`
    );
  }

  /** The mean of V where the actor loss is on, with the rewards and whether it is outside of them. */
  #value(line: MetricsLine): (RewardRange & { value: number; outside: boolean }) | undefined {
    const value = line['value/mean'];
    const { rewards, settings } = this.options;
    const { actorWarmupSteps, gamma } = settings.hpo;
    if (!isNumber(value) || !rewards || gamma === 0 || line.step <= actorWarmupSteps) return undefined;
    const { min, max } = rewards;
    const room = OUTSIDE * (max - min);
    return room === 0 ? undefined : { ...rewards, value, outside: value < min - room || value > max + room };
  }

  #valueScale(line: MetricsLine): string | undefined {
    const found = this.#value(line);
    if (found === undefined || found.outside) return undefined;
    const { lambda, gamma } = this.options.settings.hpo;
    const scale = Math.exp(lambda * (found.baseline - found.value));
    if (Math.max(scale, 1 / scale) <= SCALED) return undefined;
    return (
      `the value head is off: its mean is ${shown(found.value)}, and that of a settled one about ${shown(found.baseline)}, so that the ` +
      `actor's weights are ${shown(scale)} times what they would be, as if hpo.gamma ${gamma} were ${shown(gamma * scale)}; ` +
      'lower hpo.value_learning_rate, or raise hpo.actor_warmup_steps until it has settled'
    );
  }

  #valueHead(line: MetricsLine): string | undefined {
    const found = this.#value(line);
    if (!found?.outside) return undefined;
    const { value, min, max } = found;
    return (
      `the value head is far off: its mean is ${shown(value)}, the rewards lie between ${shown(min)} and ${shown(max)}, so that ` +
      'every advantage has the same sign; lower hpo.value_learning_rate, or raise hpo.actor_warmup_steps until it has settled'
    );
  }
}

function notFinite(line: MetricsLine): RunWarning[] {
  const { step } = line;
  const bad = nonFinite(line);
  if (bad.length === 0) return [];
  return [{ code: 'not_finite', step, message: `${bad.join(', ')} not finite; lower learning_rate?` }];
}

const isNumber = (value: number | null | undefined): value is number => typeof value === 'number';
const shown = (value: number) => String(Number(value.toPrecision(3)));
const percent = (share: number) => `${Math.round(100 * share)} %`;
