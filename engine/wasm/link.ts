import { PrefgradError } from '../errors.ts';
import type { Node, Variable } from '../graph.ts';
import type { Place, Plan, Storage } from '../plan.ts';
import type { TensorType } from '../shape.ts';
import { bytesOf } from '../shape.ts';
import type { Call, Lowering, Operand, Span } from './call.ts';
import { int } from './call.ts';

/** A call, and the op that it is a part of. */
export interface LinkedCall extends Call {
  readonly op: string;
}

/** A plan with addresses: what every thread runs. */
export interface Linked {
  readonly calls: readonly LinkedCall[];
  /** Kernel names that occur, and for each call the index of its kernel. */
  readonly kernels: readonly string[];
  readonly kernelOf: Int32Array;
  /** 1 where a barrier stands before the call. */
  readonly barriers: Uint8Array;
  /** Record of each call, as an offset in words from the records' start. */
  readonly recordAt: Int32Array;
  readonly words: Int32Array;
  /** Words that each run fills in: count × times. */
  readonly counts: readonly { readonly word: number; readonly rows: string; readonly times: number }[];
}

export interface Layout {
  /** Address of the memory that programs share: a plan's inputs, then its intermediate tensors. */
  readonly arena: number;
  addressOf(variable: Variable): number;
}

export function addressOf(plan: Plan, place: Place, layout: Layout): number {
  if (place.kind === 'variable') return layout.addressOf(place.variable);
  if (place.kind === 'input') return layout.arena + place.offset;
  return layout.arena + plan.inputBytes + place.storage.offset;
}

export function loweringOf(lowerings: Readonly<Record<string, Lowering>>, node: Node): Lowering {
  const lowering = lowerings[node.op.name];
  if (lowering === undefined) throw new PrefgradError(`${node.op.name} has no WebAssembly kernel`);
  return lowering;
}

/** Turns a plan into call records, with a barrier only where calls depend on each other. */
export function link(
  plan: Plan,
  layout: Layout,
  lowerings: Readonly<Record<string, Lowering>>,
  threads: number,
): Linked {
  const spanOf = (storage: Storage): Span => ({
    address: addressOf(plan, { kind: 'arena', storage }, layout),
    bytes: storage.bytes,
  });
  const operand = (place: Place, type: TensorType): Operand => ({
    address: addressOf(plan, place, layout),
    bytes: bytesOf(type),
    type,
  });
  const calls: Call[] = [];
  const ops: string[] = [];
  for (const { node, inputs, outputs, workspace } of plan.steps) {
    calls.push(
      ...loweringOf(lowerings, node).lower({
        inputs: inputs.map((p, i) =>
          operand(
            p,
            typeAt(
              node.inputs.map((t) => t.type),
              i,
            ),
          ),
        ),
        outputs: outputs.map((p, i) => operand(p, typeAt(node.types, i))),
        attrs: node.attrs,
        threads,
        workspace: workspace ? spanOf(workspace) : { address: 0, bytes: 0 },
      }),
    );
    while (ops.length < calls.length) ops.push(node.op.name);
  }
  for (const { from, to } of plan.copies)
    calls.push(copyCall(operand(from, to.type), operand({ kind: 'variable', variable: to }, to.type)));
  return { ...encode(calls), calls: calls.map((call, i) => ({ ...call, op: ops[i] ?? 'update' })) };
}

function typeAt(types: readonly TensorType[], index: number): TensorType {
  const type = types[index];
  if (type === undefined) throw new Error(`no type ${index}`);
  return type;
}

function copyCall(from: Operand, to: Operand): Call {
  return {
    kernel: 'copyBytes',
    fields: [int(from.address), int(to.address), int(to.bytes)],
    reads: [from],
    writes: [to],
  };
}

function encode(calls: readonly Call[]): Omit<Linked, 'calls'> {
  const kernels = [...new Set(calls.map((c) => c.kernel))];
  const recordAt = new Int32Array(calls.length);
  const counts: { word: number; rows: string; times: number }[] = [];
  let length = 0;
  calls.forEach((c, i) => {
    recordAt[i] = length;
    length += 1 + c.fields.length;
  });
  const words = new Int32Array(length);
  const floats = new Float32Array(words.buffer);
  calls.forEach((c, i) =>
    c.fields.forEach((field, f) => {
      const word = (recordAt[i] ?? 0) + 1 + f;
      if (field.kind === 'count') counts.push({ word, rows: field.rows, times: field.times });
      else if (field.kind === 'float') floats[word] = field.value;
      else words[word] = field.value;
    }),
  );
  return {
    kernels,
    kernelOf: Int32Array.from(calls, (c) => kernels.indexOf(c.kernel)),
    barriers: barriersOf(calls),
    recordAt,
    words,
    counts,
  };
}

const overlaps = (a: Span, b: Span): boolean =>
  a.address < b.address + b.bytes && b.address < a.address + a.bytes;

function barriersOf(calls: readonly Call[]): Uint8Array {
  let reads: Span[] = [];
  let writes: Span[] = [];
  return Uint8Array.from(calls, (call, i) => {
    const conflict =
      i === 0 ||
      call.reads.some((r) => writes.some((w) => overlaps(r, w))) ||
      call.writes.some((w) => writes.some((o) => overlaps(w, o)) || reads.some((r) => overlaps(w, r)));
    if (conflict) [reads, writes] = [[], []];
    reads.push(...call.reads);
    writes.push(...call.writes);
    return conflict ? 1 : 0;
  });
}
