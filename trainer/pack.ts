import { SEGMENT_WIDTH } from '../engine/ops/attention.ts';
import type { Tensor } from '../engine/index.ts';
import { f32, i32, scatterAddRows } from '../engine/index.ts';
import { modelInputTypes } from '../models/model.ts';

/** A prompt and the completions that are computed after it; the prompt's own tokens are computed once. */
export interface Sequence {
  readonly promptIds: readonly number[];
  readonly completions: readonly (readonly number[])[];
  /** The prompt's tokens after its first are labels too: those of one more completion, numbered after the others. */
  readonly labelPrompt?: boolean;
  /** What labels count beyond the length of the shortest completion (LD-DPO). Default 1. */
  readonly tailWeight?: number;
}

/**
 * Sequences as one stream of tokens: each prompt is a segment, each completion one that has it as its prefix, with
 * positions that go on from the prompt's end. Completions are numbered through the batch, prompt by prompt.
 */
export interface PackedBatch {
  /** [T] */
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** [S, 6], see engine/ops/attention.ts */
  readonly segments: Int32Array;
  /** `[N]`: the token row that predicts each label, the label, and the completion that the label belongs to. */
  readonly rows: Int32Array;
  readonly labels: Int32Array;
  readonly owners: Int32Array;
  /** `[completions]`: labels of each. */
  readonly lengths: Float32Array;
}

/** What each label of packed sequences counts in its completion's log-prob: 1, or the sequence's `tailWeight`. */
export function labelWeights(sequences: readonly Sequence[]): number[] {
  return sequences.flatMap(({ promptIds, completions, labelPrompt, tailWeight = 1 }) => {
    const first = promptIds.length > 0 ? 0 : 1;
    const shortest = Math.min(...completions.map((ids) => ids.length));
    const weights = completions.flatMap((ids) =>
      ids.map((_, i) => (i < shortest ? 1 : tailWeight)).slice(first),
    );
    return labelPrompt ? [...weights, ...promptIds.slice(1).map(() => 1)] : weights;
  });
}

/** Sums a number of each label [labels] over each completion: [completions]. */
export const sumByCompletion = (
  x: Tensor,
  { owners, lengths }: { readonly owners: Tensor; readonly lengths: Tensor },
): Tensor => scatterAddRows(x, owners, lengths.type);

/** How much room a packed batch needs; the shape of its program. */
export interface Capacity {
  readonly tokens: number;
  readonly segments: number;
  readonly labels: number;
  readonly completions: number;
  readonly sequences: number;
}

export function pack(sequences: readonly Sequence[]): PackedBatch {
  const [tokens, positions, segments]: [number[], number[], number[]] = [[], [], []];
  const [rows, labels, owners, lengths]: [number[], number[], number[], number[]] = [[], [], [], []];
  /** The labels from `before` on are a completion's. */
  const endCompletion = (before: number): void => {
    for (let i = before; i < labels.length; i++) owners.push(lengths.length);
    lengths.push(labels.length - before);
  };
  for (const { promptIds, completions, labelPrompt } of sequences) {
    const promptStart = tokens.length;
    const promptEnd = promptStart + promptIds.length;
    tokens.push(...promptIds);
    for (let i = 0; i < promptIds.length; i++) positions.push(i);
    if (promptIds.length > 0) segments.push(...segment(promptStart, promptIds.length, 0, 0));
    for (const ids of completions) {
      const before = labels.length;
      const start = tokens.length;
      ids.forEach((id, i) => {
        // The completion's first token is predicted by the prompt's last row; without a prompt, by nothing.
        if (i > 0 || promptIds.length > 0) {
          rows.push(i > 0 ? start + i - 1 : promptEnd - 1);
          labels.push(id);
        }
        tokens.push(id);
        positions.push(promptIds.length + i);
      });
      segments.push(...segment(start, ids.length, promptStart, promptIds.length));
      endCompletion(before);
    }
    if (labelPrompt) {
      const before = labels.length;
      for (let i = 1; i < promptIds.length; i++) {
        rows.push(promptStart + i - 1);
        labels.push(promptIds[i] ?? 0);
      }
      endCompletion(before);
    }
  }
  return {
    tokens: Int32Array.from(tokens),
    positions: Int32Array.from(positions),
    segments: Int32Array.from(segments),
    rows: Int32Array.from(rows),
    labels: Int32Array.from(labels),
    owners: Int32Array.from(owners),
    lengths: Float32Array.from(lengths),
  };
}

const segment = (start: number, length: number, prefixStart: number, prefixLength: number): number[] => [
  ...[start, length, start, length],
  ...[prefixStart, prefixLength],
];

/** What one sequence takes. */
export function needOf({ promptIds, completions, labelPrompt }: Sequence): Capacity {
  const tokens = completions.reduce((n, c) => n + c.length, 0);
  return {
    tokens: promptIds.length + tokens,
    segments: 1 + completions.length,
    labels: tokens + (labelPrompt ? promptIds.length : 0),
    completions: completions.length + (labelPrompt ? 1 : 0),
    sequences: 1,
  };
}

const fields = ['tokens', 'segments', 'labels', 'completions', 'sequences'] as const;

/** Room for every batch of `batchSize` of these sequences, however they are drawn. */
export function capacityOf(sequences: readonly Sequence[], batchSize: number): Capacity {
  const needs = sequences.map(needOf);
  const largest = (field: (typeof fields)[number]): number =>
    needs
      .map((n) => n[field])
      .sort((a, b) => b - a)
      .slice(0, batchSize)
      .reduce((a, b) => a + b, 0);
  return Object.fromEntries(fields.map((f) => [f, largest(f)])) as Record<(typeof fields)[number], number>;
}

export const fits = (need: Capacity, room: Capacity): boolean => fields.every((f) => need[f] <= room[f]);
export const addNeeds = (a: Capacity, b: Capacity): Capacity =>
  Object.fromEntries(fields.map((f) => [f, a[f] + b[f]])) as Record<(typeof fields)[number], number>;

/** Types of a packed batch as inputs of a program. */
export const packedTypes = ({ tokens, segments, labels, completions }: Capacity) => ({
  ...modelInputTypes(tokens, segments),
  rows: i32([labels], 'labels'),
  labels: i32([labels], 'labels'),
  owners: i32([labels], 'labels'),
  lengths: f32([completions], 'completions'),
});

export const segmentsOf = (batch: PackedBatch): number => batch.segments.length / SEGMENT_WIDTH;
