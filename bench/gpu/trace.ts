import type { DispatchClass, ProgramTrace } from '../../engine/webgpu/trace.ts';
import { TraceDevice, classesOf } from '../../engine/webgpu/trace.ts';
import type { Gpt2Step } from './gpt2.ts';
import { gpt2Model, gpt2Trainer } from './gpt2.ts';

export interface StepTrace {
  readonly programs: readonly ProgramTrace[];
  readonly classes: readonly DispatchClass[];
  readonly dispatches: number;
  readonly submits: number;
  /** Distinct ones. */
  readonly pipelines: number;
  readonly flops: number;
  /** Weights, gradients and moments. */
  readonly variableBytes: number;
  /** What the step holds beside them, at its peak. */
  readonly arenaBytes: number;
  /** What logits [T, V], their gradients and every layer's probabilities [B, H, T, T] would take. */
  readonly naiveBytes: number;
}

/** A training step of a language model, planned and linked for a GPU but not run. */
export async function traceStep(step: Gpt2Step, recompute: boolean): Promise<StepTrace> {
  const { layers, heads, vocab, batch, length } = step;
  const [model, device] = [gpt2Model(step), new TraceDevice()];
  for (const { variable } of model.parameters) device.write(variable);
  await gpt2Trainer(step, { model, device, recompute }, () => 0);
  const { traces } = device;
  // A plan knows its capacity alone, so attention's operations are stated for one sequence of all tokens.
  const classes = classesOf(traces.flatMap((t) => t.dispatches)).map((c) =>
    c.op.startsWith('attention') ? { ...c, flops: c.flops / batch } : c,
  );
  return {
    programs: traces,
    classes,
    dispatches: traces.reduce((n, t) => n + t.dispatches.length, 0),
    submits: traces.length,
    pipelines: new Set(traces.flatMap((t) => t.pipelines)).size,
    flops: classes.reduce((n, c) => n + c.flops, 0),
    variableBytes: device.memory.variables,
    arenaBytes: device.memory.arena,
    naiveBytes: 4 * (2 * batch * length * vocab + layers * batch * heads * length ** 2),
  };
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);

/** The trace for people: what each class of dispatches reads, writes and computes, and the totals. */
export function traceTable({ classes, ...trace }: StepTrace): string {
  const rows = [
    ['op', 'shader', 'dispatches', 'MB read', 'MB written', 'GFLOP'],
    ...classes.map((c) => [
      ...[c.op, c.shader, `${c.dispatches}`, mb(c.bytesRead), mb(c.bytesWritten)],
      c.flops > 0 ? (c.flops / 1e9).toFixed(0) : '',
    ]),
  ];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
  );
  const total = trace.variableBytes + trace.arenaBytes;
  return [
    ...lines,
    '',
    `${trace.dispatches} dispatches in ${trace.submits} submits, ${trace.pipelines} pipelines, ${(trace.flops / 1e12).toFixed(2)} TFLOP`,
    `peak ${mb(total)} MB: ${mb(trace.variableBytes)} of weights, gradients and moments, ${mb(trace.arenaBytes)} of intermediate tensors`,
    `logits, their gradients and attention's probabilities would take ${mb(trace.naiveBytes)} MB more`,
  ].join('\n');
}
