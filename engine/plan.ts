import type { Program, Update } from './compile.ts';
import { isInput } from './graph.ts';
import type { Node, Tensor, Variable } from './graph.ts';
import { bytesOf } from './shape.ts';
import { countUses } from './simplify.ts';

/** Where a tensor lies: in a variable's own memory, at an offset of the inputs, or at one of the arena. */
export type Place =
  | { readonly kind: 'variable'; readonly variable: Variable }
  | { readonly kind: 'input'; readonly offset: number }
  | { readonly kind: 'arena'; readonly storage: Storage };

/** A stretch of the arena, and the steps of the plan between which it is in use. */
export interface Storage {
  readonly bytes: number;
  readonly from: number;
  to: number;
  offset: number;
}

export interface Step {
  readonly node: Node;
  readonly inputs: readonly Place[];
  readonly outputs: readonly Place[];
  readonly workspace: Storage | undefined;
}

/** A program with every byte placed, before anything has run. */
export interface Plan {
  readonly program: Program;
  readonly steps: readonly Step[];
  /** Offsets of the inputs, which lie side by side in memory of their own so that one write brings them all. */
  readonly inputs: Readonly<Record<string, number>>;
  readonly inputBytes: number;
  readonly outputs: Readonly<Record<string, Place>>;
  /** New values that could not be made in place, copied when all steps are done. */
  readonly copies: readonly { readonly from: Place; readonly to: Variable }[];
  readonly arenaBytes: number;
}

export interface PlanOptions {
  /** Bytes that a backend needs beside a node's tensors while it runs. */
  readonly workspace: (node: Node) => number;
  /** Of every offset, in bytes; a power of two. */
  readonly alignment: number;
  /** No tensor lies across a multiple of it, so that an arena can be several buffers. */
  readonly blockBytes?: number;
}

/**
 * Liveness to offsets: a tensor takes its dying input's memory where the op allows it, a new value of a variable is
 * made in the variable's memory where nothing reads the old one later, and all else is packed into one arena.
 */
export function makePlan(
  program: Program,
  { workspace, alignment, blockBytes = Infinity }: PlanOptions,
): Plan {
  const align = (n: number): number => Math.ceil(n / alignment) * alignment;
  const nodes = program.nodes.filter((n) => !isInput(n) && n.variable === undefined);
  const roots = [...Object.values(program.outputs), ...program.updates.map((u) => u.value)];
  const uses = countUses(nodes, roots);
  const end = nodes.length;
  const storages: Storage[] = [];
  const places = new Map<string, Place>();
  /** Reads of a storage that are still to come. */
  const pending = new Map<Storage, number>();

  const reserve = (bytes: number, from: number, to: number): Storage => {
    const storage = { bytes: align(bytes), from, to, offset: 0 };
    storages.push(storage);
    return storage;
  };
  const placeOf = (t: Tensor): Place => {
    if (t.node.variable) return { kind: 'variable', variable: t.node.variable };
    const place = places.get(t.key);
    if (place === undefined) throw new Error(`${t.toString()} is read before it is computed`);
    return place;
  };

  let inputBytes = 0;
  const offsets: Record<string, number> = {};
  for (const [name, t] of Object.entries(program.inputs)) {
    places.set(t.key, { kind: 'input', offset: inputBytes });
    offsets[name] = inputBytes;
    inputBytes += align(bytesOf(t.type));
  }

  const lastRead = lastReads(nodes, Object.values(program.outputs));
  const destinations = destinationsOf(program.updates, uses);
  const steps: Step[] = [];
  nodes.forEach((node, at) => {
    const inputs = node.inputs.map(placeOf);
    for (const p of inputs)
      if (p.kind === 'arena') {
        p.storage.to = Math.max(p.storage.to, at);
        pending.set(p.storage, (pending.get(p.storage) ?? 0) - 1);
      }
    const [first] = inputs;
    const outputs: Place[] = [];
    node.types.forEach((type, index) => {
      const key = `${node.id}.${index}`;
      const t = { key, type };
      const place =
        (node.op.view === true && first) ||
        inVariable(node, index, at, inputs) ||
        inInput(node, index, inputs, outputs) ||
        ({ kind: 'arena', storage: reserve(bytesOf(type), at, at) } as const);
      outputs.push(place);
      places.set(key, place);
      if (place.kind === 'arena')
        pending.set(place.storage, (pending.get(place.storage) ?? 0) + (uses.get(t.key) ?? 0));
    });
    const bytes = workspace(node);
    if (node.op.view !== true)
      steps.push({ node, inputs, outputs, workspace: bytes > 0 ? reserve(bytes, at, at) : undefined });
  });

  for (const t of roots) {
    const place = placeOf(t);
    if (place.kind === 'arena') place.storage.to = end;
  }
  const copies = program.updates
    .map(({ variable, value }) => ({ from: placeOf(value), to: variable }))
    .filter(({ from, to }) => from.kind !== 'variable' || from.variable !== to);
  return {
    program,
    steps,
    inputs: offsets,
    inputBytes,
    outputs: Object.fromEntries(Object.entries(program.outputs).map(([key, t]) => [key, placeOf(t)])),
    copies,
    arenaBytes: assignOffsets(storages, blockBytes),
  };

  /** The variable whose new value this output is, where its memory is free to take it. */
  function inVariable(node: Node, index: number, at: number, inputs: readonly Place[]): Place | undefined {
    const variable = destinations.get(`${node.id}.${index}`);
    if (variable === undefined || (lastRead.get(variable) ?? -1) > at) return undefined;
    const pairs =
      node.op.inPlace?.(
        node.attrs,
        node.inputs.map((x) => x.type),
      ) ?? [];
    const reads = inputs.flatMap((p, i) => (p.kind === 'variable' && p.variable === variable ? [i] : []));
    const allowed = reads.every((i) => pairs.some(([from, to]) => from === i && to === index));
    return allowed ? { kind: 'variable', variable } : undefined;
  }

  /** The memory of an input that nothing reads any more and that the op may write over. */
  function inInput(
    node: Node,
    index: number,
    inputs: readonly Place[],
    taken: readonly Place[],
  ): Place | undefined {
    const bytes = node.types[index] ? bytesOf(node.types[index]) : 0;
    for (const [from, to] of node.op.inPlace?.(
      node.attrs,
      node.inputs.map((x) => x.type),
    ) ?? []) {
      const [place, x] = [inputs[from], node.inputs[from]];
      // An operand that is broadcast is smaller, though both may fit into the same aligned bytes.
      if (to !== index || place?.kind !== 'arena' || !x || bytesOf(x.type) !== bytes) continue;
      const { storage } = place;
      const free = pending.get(storage) === 0 && storage.bytes === align(bytes);
      const shared = inputs.some((p, i) => i !== from && p.kind === 'arena' && p.storage === storage);
      const used = taken.some((p) => p.kind === 'arena' && p.storage === storage);
      if (free && !shared && !used) return place;
    }
    return undefined;
  }
}

/**
 * The variable in whose memory each tensor should be made: a variable's new value, and before it what that value is
 * computed from in place (sums that grow term by term, as the gradient of a tied embedding).
 */
function destinationsOf(
  updates: readonly Update[],
  uses: ReadonlyMap<string, number>,
): Map<string, Variable> {
  const destinations = new Map<string, Variable>();
  for (const { variable, value } of updates)
    for (let t: Tensor | undefined = value; t && !destinations.has(t.key); t = madeFrom(t, uses))
      destinations.set(t.key, variable);
  return destinations;
}

/** The computed input that nothing else reads and whose memory an output may take. */
function madeFrom({ node, index }: Tensor, uses: ReadonlyMap<string, number>): Tensor | undefined {
  const { op, attrs, inputs } = node;
  const types = inputs.map((x) => x.type);
  const pairs = op.view === true ? [[0, 0] as const] : (op.inPlace?.(attrs, types) ?? []);
  return pairs
    .filter(([, to]) => to === index)
    .flatMap(([from]) => inputs[from] ?? [])
    .find((x) => x.node.inputs.length > 0 && uses.get(x.key) === 1);
}

/** The last step at which each variable's value from before the run is read, views included. */
function lastReads(nodes: readonly Node[], outputs: readonly Tensor[]): Map<Variable, number> {
  const last = new Map<Variable, number>();
  const viewed = new Map<string, Variable>();
  nodes.forEach((node, at) => {
    for (const x of node.inputs) {
      const variable = x.node.variable ?? viewed.get(x.key);
      if (!variable) continue;
      last.set(variable, at);
      if (node.op.view === true) viewed.set(`${node.id}.0`, variable);
    }
  });
  for (const t of outputs) {
    const variable = t.node.variable ?? viewed.get(t.key);
    if (variable) last.set(variable, nodes.length);
  }
  return last;
}

/** Largest first, each at the lowest offset that no storage alive at the same time takes; returns the arena's size. */
function assignOffsets(storages: readonly Storage[], blockBytes: number): number {
  const placed: Storage[] = [];
  /** The lowest offset from `offset` on at which `bytes` lie within one block. */
  const within = (offset: number, bytes: number): number => {
    const end = (Math.floor(offset / blockBytes) + 1) * blockBytes;
    return offset + bytes > end ? end : offset;
  };
  let total = 0;
  for (const s of [...storages].sort((a, b) => b.bytes - a.bytes || a.from - b.from)) {
    let offset = 0;
    for (const other of placed) {
      if (other.to < s.from || other.from > s.to) continue;
      if (other.offset >= offset + s.bytes) break;
      offset = within(Math.max(offset, other.offset + other.bytes), s.bytes);
    }
    s.offset = offset;
    total = Math.max(total, offset + s.bytes);
    const next = placed.findIndex((p) => p.offset > offset);
    placed.splice(next < 0 ? placed.length : next, 0, s);
  }
  return total;
}
