import type { Device, Executable, Program } from '../engine/index.ts';
import { bytesOf, compile, f32, grad, i32, makePlan, mul } from '../engine/index.ts';
import type { LanguageModel } from '../models/model.ts';
import type { TokenizedRow } from './data/tokenized.ts';
import { dropoutSeed } from './dropoutSeed.ts';
import type { HostBatch, Loss, LossNumbers } from './losses/loss.ts';
import type { StepMetrics } from './metrics.ts';
import type { Optimizer } from './optimizer.ts';
import type { Capacity } from './pack.ts';
import { needOf, pack, packedTypes } from './pack.ts';
import { logProbs } from './score.ts';

/** A microbatch, packed, with the reference's log-probs of its completions. */
export interface Microbatch extends HostBatch {
  readonly referenceLogps: readonly number[];
  /** Tokens that the model computes. */
  readonly tokens: number;
}

export interface MicrobatchResult {
  readonly loss: number;
  readonly metrics: StepMetrics;
  /** log π(y|x) of each completion, in nats. */
  readonly logps: ArrayLike<number>;
}

/** Packs rows for a loss; `referenceOf` gives a row's reference log-probs in the order of its completions. */
export function microbatch(
  rows: readonly TokenizedRow[],
  loss: Loss,
  referenceOf: (row: TokenizedRow) => readonly number[],
): Microbatch {
  const sequences = rows.map((row) => loss.sequence(row));
  let at = 0;
  const first = sequences.map((sequence) => {
    const start = at;
    at += needOf(sequence).completions;
    return start;
  });
  const packed = pack(sequences);
  const referenceLogps = loss.usesReference ? rows.flatMap(referenceOf) : Array.from(packed.lengths, () => 0);
  return { rows, first, packed, referenceLogps, tokens: packed.tokens.length };
}

export interface TrainingOptions {
  readonly optimizer: Optimizer;
  readonly seed: number;
  /** Compute norms and activations again instead of keeping them. Default true. */
  readonly recompute?: boolean | undefined;
  /**
   * Compute whole blocks again (GradOptions.recompute), and the logits. auto: logits, then blocks too, where a step
   * would keep more than mostKept.
   */
  readonly checkpoints?: boolean | 'auto' | undefined;
}

const MIB = 2 ** 20;
/**
 * Bytes of tensors of one step that are kept before blocks are computed again to save them: half as many again as the
 * frozen weights take, while both stay below 2.5 GiB of the 4 GiB that WebAssembly has, and 256 MiB always.
 */
const mostKept = (frozenBytes: number): number =>
  Math.max(256 * MIB, Math.min(1.5 * frozenBytes, 2560 * MIB - frozenBytes));
/**
 * Bytes that a microbatch's logits may take to be kept for the gradient, which is a quarter of the output head's work:
 * more where adapters are trained than where gradients and moments of a whole model fill the memory.
 */
const MOST_LOGITS = { adapters: 256 * MIB, model: 64 * MIB };

const arenaOf = (program: Program): number =>
  makePlan(program, { workspace: () => 0, alignment: 64 }).arenaBytes;

/** What of a step is kept for the gradient, or computed again. */
export interface StepChoices {
  readonly logitsKept: boolean;
  readonly blocksRecomputed: boolean;
}

/** The program of one microbatch: forward, loss, and with an optimizer its gradients added to the sums. */
export class LossProgram {
  private constructor(
    private readonly loss: Loss,
    private readonly executable: Executable,
    /** Seeds the model's dropout; undefined where nothing is dropped. */
    private readonly seed: number | undefined,
    /** What was chosen to save time or memory. */
    readonly choices: StepChoices,
  ) {}

  get arenaBytes(): number {
    return this.executable.arenaBytes;
  }

  static async load(
    model: LanguageModel,
    loss: Loss,
    capacity: Capacity,
    device: Device,
    training?: TrainingOptions,
  ): Promise<LossProgram> {
    const { optimizer, recompute = true, checkpoints = false } = training ?? {};
    const drops = training !== undefined && model.drops === true;
    const types = {
      ...packedTypes(capacity),
      ...(drops ? { dropoutSeed: i32([1]) } : {}),
      referenceLogps: f32([capacity.completions], 'completions'),
      weight: f32([]),
    };
    const logitBytes = 4 * capacity.labels * (model.head.tensor.shape[0] ?? 0);
    const mostLogits = model.frozen === undefined ? MOST_LOGITS.model : MOST_LOGITS.adapters;
    const fastest = {
      logitsKept: optimizer !== undefined && logitBytes <= mostLogits,
      blocksRecomputed: false,
    };
    const smallest = { logitsKept: false, blocksRecomputed: true };
    const own = prefixed(loss.inputTypes(capacity));
    const name = optimizer ? 'train' : 'evaluate';
    const trace = ({ logitsKept: keepLogits, blocksRecomputed }: StepChoices) =>
      compile(name, { ...types, ...own }, (inputs) => {
        const scored = logProbs(model, inputs, { statistics: loss.usesStatistics, keepLogits });
        const { referenceLogps, lengths, weight } = inputs;
        const graph = loss.build({ ...scored, referenceLogps, lengths, inputs: unprefixed(inputs) });
        const outputs = { loss: graph.loss, logps: scored.logps, ...graph.outputs };
        if (!optimizer) return { outputs };
        const gradients = grad(
          mul(graph.loss, weight),
          optimizer.parameters.map((p) => p.variable.tensor),
          { recompute: blocksRecomputed ? 'blocks' : recompute },
        );
        return { outputs, updates: optimizer.accumulate(gradients) };
      });
    let choices: StepChoices = checkpoints === true ? smallest : fastest;
    let program = trace(choices);
    const frozenBytes = (model.frozen ?? []).reduce((n, { type }) => n + bytesOf(type), 0);
    for (const next of checkpoints === 'auto' ? [{ ...fastest, logitsKept: false }, smallest] : []) {
      if (arenaOf(program) <= mostKept(frozenBytes)) break;
      choices = next;
      program = trace(choices);
    }
    const executable = await device.load(program);
    return new LossProgram(loss, executable, drops ? training.seed : undefined, choices);
  }

  /**
   * Runs a microbatch; its gradients are weighted by `weight`. `step` counts optimizer steps from 1, `index` the
   * microbatches of one from 0.
   */
  async run(batch: Microbatch, weight: number, step: number, index = 0): Promise<MicrobatchResult> {
    const { loss, logps, ...outputs } = await this.executable.run({
      ...batch.packed,
      ...prefixed(this.loss.inputs(batch, step, index)),
      ...(this.seed === undefined ? {} : { dropoutSeed: [dropoutSeed(this.seed, step, index)] }),
      referenceLogps: batch.referenceLogps,
      weight: [weight],
    });
    const numbers: LossNumbers = {
      loss: loss?.[0] ?? NaN,
      logps: logps ?? [],
      referenceLogps: batch.referenceLogps,
      outputs,
    };
    return { loss: numbers.loss, metrics: this.loss.metrics(batch, numbers), logps: numbers.logps };
  }

  dispose(): void {
    this.executable.dispose();
  }
}

/** A loss's own inputs have names of their own among a program's. */
const PREFIX = 'loss.';

const prefixed = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [PREFIX + name, value]));

const unprefixed = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(PREFIX) ? [[name.slice(PREFIX.length), value]] : [],
    ),
  );

/** How much each microbatch of a step counts: they add up to 1. */
export function weightsOf(batches: readonly Microbatch[], loss: Loss): number[] {
  if (loss.average === 'batches') return batches.map(() => 1 / batches.length);
  const labels = batches.map((b) => b.packed.labels.length);
  const total = labels.reduce((a, b) => a + b, 0);
  return labels.map((n) => n / total);
}
