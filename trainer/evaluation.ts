import type { Device } from '../engine/index.ts';
import { Generator } from '../models/generate.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { SamplingSettings } from './config.ts';
import { Random } from './data/random.ts';
import { checkRows } from './data/modelLimits.ts';
import type { TokenizedRow } from './data/tokenized.ts';
import { completionsOf } from './data/tokenized.ts';
import type { AuxiliaryMeans, Evaluation, Phase, Sample } from './events.ts';
import type { Loss } from './losses/loss.ts';
import { meanOf } from './losses/loss.ts';
import { capacityOf } from './pack.ts';
import type { Reward } from './rewards/reward.ts';
import type { RewardResult, RewardTarget } from './rewards/compute.ts';
import { scoreWith } from './rewards/compute.ts';
import { Scorer } from './score.ts';
import { LossProgram, microbatch } from './step.ts';

export interface EvaluationOptions {
  readonly model: LanguageModel;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  /** Held-out rows. */
  readonly rows: readonly TokenizedRow[];
  /** TRL's metrics of this loss on the rows, with these reference log-probs; left out where there is none. */
  readonly loss?: { readonly loss: Loss; readonly referenceOf: (row: TokenizedRow) => readonly number[] };
  readonly batchSize: number;
  readonly rewards: readonly Reward[];
  /** How the training set's rewards were normalised. */
  readonly normalization: RewardResult['normalization'];
  readonly sampling: SamplingSettings;
  readonly stopTokens: readonly number[];
  readonly seed: number;
}

interface Hooks {
  readonly onProgress?: (phase: Phase, done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What held-out pairs say by the model's own log-probs, without a reference. */
interface Preference extends Pick<Evaluation, 'pairs' | 'accuracy' | 'margin'> {
  readonly logps: Readonly<Record<string, number>>;
}

/** Sequences that generation advances together. */
const STREAMS = 8;

/** Measures a model's present weights on held-out rows, and on what it writes after their prompts. */
export class Evaluator {
  /** Rewards of the held-out completions, which stay the same. */
  #given: Promise<RewardResult> | undefined;

  constructor(private readonly options: EvaluationOptions) {
    checkRows(options.rows, options.model);
  }

  async evaluate(step: number, hooks: Hooks = {}): Promise<Evaluation> {
    const { rewards } = this.options;
    const { logps, ...preference } = await this.#preference(hooks);
    const metrics = { ...logps, ...(await this.#lossMetrics(step, hooks)) };
    const samples = await this.#samples(hooks);
    const auxiliary: Record<string, AuxiliaryMeans> = {};
    const names = rewards.map((r) => r.name);
    if (rewards.length > 0) {
      const given = await (this.#given ??= this.#rewardsOf(this.options.rows.flatMap(targetsOf)));
      const sides = this.options.rows.flatMap((row) => completionsOf(row).map((_, i) => sideOf(row, i)));
      for (const name of [...names, ...(names.length > 1 ? ['total'] : [])]) {
        const scores = name === 'total' && !names.includes(name) ? given.total : given.scores.get(name);
        const of = (side: string) => meanOrNull([...(scores ?? [])].filter((_, i) => sides[i] === side));
        auxiliary[name] = {
          chosen: of('chosen'),
          rejected: of('rejected'),
          sampled: meanOrNull(samples.flatMap((s) => s.rewards[name] ?? [])),
        };
      }
    }
    return { step, ...preference, metrics, auxiliary, ...(samples.length > 0 ? { samples } : {}) };
  }

  /** Accuracy and margin of the pairs by the model's own log-probs. */
  async #preference({ onProgress, signal }: Hooks): Promise<Preference> {
    const pairs = this.options.rows.filter((row) => row.kind === 'pair');
    if (pairs.length === 0) return { pairs: 0, logps: {} };
    const scorer = new Scorer(this.options.model, this.options.device);
    const scores = await scorer
      .score(
        pairs.map((row) => ({ promptIds: row.promptIds, completions: [row.chosen.ids, row.rejected.ids] })),
        (done, total) => onProgress?.('evaluate', done, total),
        signal,
      )
      .finally(() => scorer.dispose());
    const margins = scores.map(([chosen, rejected]) => (chosen?.logp ?? NaN) - (rejected?.logp ?? NaN));
    return {
      pairs: pairs.length,
      accuracy: meanOf(margins.map((m) => (m > 0 ? 1 : 0))),
      margin: meanOf(margins),
      logps: {
        'logps/chosen': meanOf(scores.map(([chosen]) => chosen?.logp ?? NaN)),
        'logps/rejected': meanOf(scores.map(([, rejected]) => rejected?.logp ?? NaN)),
      },
    };
  }

  /** The loss's own metrics, each a mean over the batches that measured it. */
  async #lossMetrics(step: number, { onProgress, signal }: Hooks): Promise<Record<string, number>> {
    const { loss: with_, rows, model, device, batchSize } = this.options;
    if (with_ === undefined || rows.length === 0) return {};
    const { loss, referenceOf } = with_;
    const capacity = capacityOf(
      rows.map((row) => loss.sequence(row)),
      batchSize,
    );
    const program = await LossProgram.load(model, loss, capacity, device);
    const sums = new Map<string, { sum: number; weight: number }>();
    try {
      for (let start = 0; start < rows.length; start += batchSize) {
        signal?.throwIfAborted();
        const batch = microbatch(rows.slice(start, start + batchSize), loss, referenceOf);
        const result = await program.run(batch, 0, step);
        for (const [name, value] of Object.entries({ loss: result.loss, ...result.metrics })) {
          const entry = sums.get(name) ?? { sum: 0, weight: 0 };
          sums.set(name, {
            sum: entry.sum + value * batch.rows.length,
            weight: entry.weight + batch.rows.length,
          });
        }
        onProgress?.('evaluate', start + batch.rows.length, rows.length);
      }
    } finally {
      program.dispose();
    }
    return Object.fromEntries([...sums].map(([name, { sum, weight }]) => [name, sum / weight]));
  }

  /** Completions of the first distinct held-out prompts, with their rewards. */
  async #samples({ onProgress, signal }: Hooks): Promise<Sample[]> {
    const { model, device, tokenizer, rows, sampling, stopTokens, seed, rewards } = this.options;
    const distinct = [...new Map(rows.map((row) => [row.promptText, row])).values()];
    const room = model.contextLength - 1;
    const chosen = distinct.filter((row) => row.promptIds.length <= room).slice(0, sampling.prompts);
    if (chosen.length === 0) return [];
    const longest = Math.max(...chosen.map((row) => row.promptIds.length));
    const context = Math.min(model.contextLength, longest + sampling.maxNewTokens);
    const generator = new Generator(model, device, Math.min(chosen.length, STREAMS), context);
    const streams = chosen.map((_, i) => new Random(seed, i));
    let done = 0;
    const total = chosen.length * sampling.maxNewTokens;
    const generated = await generator
      .generate(
        chosen.map((row) => row.promptIds),
        {
          maxNewTokens: sampling.maxNewTokens,
          temperature: sampling.temperature,
          topK: sampling.topK ?? undefined,
          topP: sampling.topP,
          stopTokens,
          uniform: (prompt) => streams[prompt]?.uniform() ?? 0,
          onToken: () => onProgress?.('sample', Math.min(++done, total), total),
          signal,
        },
      )
      .finally(() => generator.dispose());
    const targets = chosen.map((row, i) => ({
      prompt: row.promptText,
      completion: tokenizer.decode(generated[i]?.tokens ?? [], { skipSpecialTokens: true }),
      origin: row.origin,
    }));
    const scored = await this.#rewardsOf(targets);
    return targets.map(({ prompt, completion }, i) => ({
      prompt,
      completion,
      truncated: !(generated[i]?.stopped ?? true),
      rewards: Object.fromEntries([
        ...rewards.map((r) => [r.name, scored.scores.get(r.name)?.[i] ?? null] as const),
        ...(rewards.length > 1 ? [['total', scored.total[i] ?? null] as const] : []),
      ]),
    }));
  }

  #rewardsOf(targets: readonly RewardTarget[]): Promise<RewardResult> {
    return scoreWith(targets, this.options.rewards, this.options.normalization);
  }
}

/** A row's completions, as rewards see them. */
export function targetsOf(row: TokenizedRow): RewardTarget[] {
  return completionsOf(row).map(({ text }) => ({
    prompt: row.promptText,
    completion: text,
    origin: row.origin,
  }));
}

/** Whether a completion counts to the chosen ones: a pair's first, a desirable one, one to imitate. */
function sideOf(row: TokenizedRow, index: number): 'chosen' | 'rejected' {
  if (row.kind === 'pair') return index === 0 ? 'chosen' : 'rejected';
  return row.kind === 'unpaired' && !row.label ? 'rejected' : 'chosen';
}

const meanOrNull = (values: readonly number[]): number | null =>
  values.length === 0 ? null : meanOf(values);
