import type { Device } from '../engine/index.ts';
import { Generator } from '../models/generate.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { SamplingSettings } from './config.ts';
import { Random } from './data/random.ts';
import { checkRows } from './data/modelLimits.ts';
import type { TokenizedPair, TokenizedRow } from './data/tokenized.ts';
import { completionsOf } from './data/tokenized.ts';
import type { AuxiliaryMeans, Evaluation, Phase, Sample } from './events.ts';
import type { Loss } from './losses/loss.ts';
import { meanOf } from './losses/loss.ts';
import { capacityOf } from './pack.ts';
import { PrefgradError } from '../engine/errors.ts';
import type { RewardCache } from './rewards/cache.ts';
import type { RewardResult } from './rewards/compute.ts';
import { scoreWith } from './rewards/compute.ts';
import type { Reward, RewardTarget } from './rewards/reward.ts';
import { scoresTexts } from './rewards/reward.ts';
import { sideOf, targetsOf } from './rewards/targets.ts';
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
  /** Where scores are kept between runs. */
  readonly rewardCache?: RewardCache | undefined;
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

/** log π of a pair's chosen and rejected completion. */
type PairLogps = ReadonlyMap<TokenizedRow, readonly number[]>;

/** Whether a loss computes a pair's chosen completion and then its rejected one; SFT, for one, has the chosen alone. */
function computesPair(loss: Loss, row: TokenizedRow): boolean {
  if (row.kind !== 'pair') return false;
  const [first, second] = loss.sequence(row).completions;
  return first === row.chosen.ids && second === row.rejected.ids;
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
    const { signal } = hooks;
    const { metrics: lossMetrics, pairs } = await this.#lossMetrics(step, hooks);
    const { logps, ...preference } = await this.#preference(pairs, hooks);
    const metrics = { ...logps, ...lossMetrics };
    const samples = await this.#samples(hooks);
    const auxiliary: Record<string, AuxiliaryMeans> = {};
    const names = rewards.map((r) => r.name);
    if (rewards.length > 0) {
      const given = await (this.#given ??= this.#givenRewards(signal));
      const sides = this.options.rows.flatMap((row) => completionsOf(row).map((_, i) => sideOf(row, i)));
      for (const name of [...names, ...(names.length > 1 ? ['total'] : [])]) {
        const scores = name === 'total' && !names.includes(name) ? given.total : given.scores.get(name);
        const of = (side: string) => meanOrNull([...(scores ?? [])].filter((_, i) => sides[i] === side));
        const sampled = samples.flatMap((s) => s.rewards[name] ?? []);
        const failed = samples.filter((s) => s.rewards[name] === null).length;
        auxiliary[name] = {
          chosen: of('chosen'),
          rejected: of('rejected'),
          sampled: meanOrNull(sampled),
          ...(failed > 0 ? { failed } : {}),
        };
      }
    }
    return { step, ...preference, metrics, auxiliary, ...(samples.length > 0 ? { samples } : {}) };
  }

  /** Accuracy and margin of the pairs by the model's own log-probs, some of which the loss has computed. */
  async #preference(known: PairLogps, hooks: Hooks): Promise<Preference> {
    const pairs = this.options.rows.filter((row) => row.kind === 'pair');
    if (pairs.length === 0) return { pairs: 0, logps: {} };
    const left = pairs.filter((row) => !known.has(row));
    const scored = new Map([...known, ...(await this.#score(left, hooks))]);
    const logps = pairs.map((row) => scored.get(row) ?? []);
    const margins = logps.map(([chosen = NaN, rejected = NaN]) => chosen - rejected);
    return {
      pairs: pairs.length,
      accuracy: meanOf(margins.map((m) => (m > 0 ? 1 : 0))),
      margin: meanOf(margins),
      logps: {
        'logps/chosen': meanOf(logps.map(([chosen = NaN]) => chosen)),
        'logps/rejected': meanOf(logps.map(([, rejected = NaN]) => rejected)),
      },
    };
  }

  async #score(pairs: readonly TokenizedPair[], { onProgress, signal }: Hooks): Promise<PairLogps> {
    if (pairs.length === 0) return new Map();
    const scorer = new Scorer(this.options.model, this.options.device);
    const scores = await scorer
      .score(
        pairs.map((row) => ({ promptIds: row.promptIds, completions: [row.chosen.ids, row.rejected.ids] })),
        (done, total) => onProgress?.('evaluate', done, total),
        signal,
      )
      .finally(() => scorer.dispose());
    return new Map(pairs.map((row, i) => [row, scores[i].map(({ logp }) => logp)]));
  }

  /** The loss's own metrics, each a mean over the batches that measured it, and what it has computed of the pairs. */
  async #lossMetrics(
    step: number,
    { onProgress, signal }: Hooks,
  ): Promise<{ metrics: Record<string, number>; pairs: PairLogps }> {
    const { loss: with_, rows, model, device, batchSize } = this.options;
    const pairs = new Map<TokenizedRow, readonly number[]>();
    if (with_ === undefined || rows.length === 0) return { metrics: {}, pairs };
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
        const { loss: value, metrics, logps } = await program.run(batch, 0, step);
        for (const [name, number] of Object.entries({ loss: value, ...metrics })) {
          const entry = sums.get(name) ?? { sum: 0, weight: 0 };
          sums.set(name, {
            sum: entry.sum + number * batch.rows.length,
            weight: entry.weight + batch.rows.length,
          });
        }
        for (const [i, row] of batch.rows.entries()) {
          const first = batch.first[i];
          if (computesPair(loss, row)) pairs.set(row, [logps[first], logps[first + 1]]);
        }
        onProgress?.('evaluate', start + batch.rows.length, rows.length);
      }
    } finally {
      program.dispose();
    }
    return {
      metrics: Object.fromEntries([...sums].map(([name, { sum, weight }]) => [name, sum / weight])),
      pairs,
    };
  }

  /** Completions of the first distinct held-out prompts, with their rewards. */
  async #samples({ onProgress, signal }: Hooks): Promise<Sample[]> {
    const { model, device, tokenizer, rows, sampling, stopTokens, seed } = this.options;
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
    const scored = await this.#sampleRewards(targets, signal);
    return targets.map(({ prompt, completion }, i) => ({
      prompt,
      completion,
      truncated: !(generated[i]?.stopped ?? true),
      rewards: Object.fromEntries([...scored].map(([name, scores]) => [name, finite(scores[i])])),
    }));
  }

  #givenRewards(signal: AbortSignal | undefined): Promise<RewardResult> {
    const { rows, rewards, normalization, rewardCache: cache } = this.options;
    return scoreWith(rows.flatMap(targetsOf), rewards, normalization, { cache, signal });
  }

  /**
   * Each reward of sampled completions by name, and the total where there are several. What fails is NaN: hours of
   * training do not end because of one text, or of an endpoint that is away. Columns of the data have none, so that
   * with one there is no total either.
   */
  async #sampleRewards(
    targets: readonly RewardTarget[],
    signal: AbortSignal | undefined,
  ): Promise<Map<string, ArrayLike<number>>> {
    const { rewards, normalization, rewardCache: cache } = this.options;
    const scored = new Map<string, ArrayLike<number>>();
    const total = new Float64Array(targets.length);
    for (const reward of rewards.filter(scoresTexts)) {
      try {
        const options = { cache, signal, onFailure: () => {} };
        const one = await scoreWith(targets, [reward], normalization, options);
        scored.set(reward.name, one.scores.get(reward.name) ?? []);
        for (const i of total.keys()) total[i] += one.total[i];
      } catch (error) {
        if (!(error instanceof PrefgradError)) throw error;
        scored.set(reward.name, new Float64Array(targets.length).fill(NaN));
        total.fill(NaN);
      }
    }
    return rewards.length > 1 && rewards.every(scoresTexts) ? scored.set('total', total) : scored;
  }
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const meanOrNull = (values: readonly number[]): number | null =>
  values.length === 0 ? null : meanOf(values);
