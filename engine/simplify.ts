import { reachable } from './grad.ts';
import type { Node } from './graph.ts';
import { Tensor, applyAll, outputOf } from './graph.ts';
import { add, addOp } from './ops/elementwise.ts';
import { accumulateOf } from './ops/inputs.ts';
import { format } from './shape.ts';

/** Where a rewritten node stood in the traced order; a node that was not rewritten stands where its id says. */
const tracedAt = new WeakMap<Node, number>();
export const orderOf = (node: Node): number => tracedAt.get(node) ?? node.id;

function rebuild(node: Node, inputs: readonly Tensor[], attrs = node.attrs): readonly Tensor[] {
  const outputs = applyAll(node.op, inputs, attrs);
  const first = outputs[0];
  if (first) tracedAt.set(first.node, orderOf(node));
  return outputs;
}

const isLeaf = (node: Node): boolean => node.variable !== undefined || node.op.name === 'input';
const outputsOf = (node: Node): Tensor[] => node.types.map((_, i) => new Tensor(node, i));

/**
 * Common subexpressions: nodes of one op with the same attributes and inputs become one. Roots that are constants stay
 * apart: zeroing each gradient where it lies costs less than copying zeros there.
 */
export function shareCommon(roots: readonly Tensor[]): Tensor[] {
  const known = new Map<string, readonly Tensor[]>();
  const built = new Map<Node, readonly Tensor[]>();
  const now = (t: Tensor): Tensor => outputOf(built.get(t.node) ?? outputsOf(t.node), t.index);
  for (const node of reachable(roots)) {
    if (isLeaf(node)) continue;
    const inputs = node.inputs.map(now);
    const key = `${node.op.name} ${JSON.stringify(node.attrs)} ${inputs.map((t) => t.key).join()}`;
    const same = inputs.every((t, i) => t.key === node.inputs[i]?.key);
    const outputs = known.get(key) ?? (same ? outputsOf(node) : rebuild(node, inputs));
    known.set(key, outputs);
    built.set(node, outputs);
  }
  return roots.map((t) => (t.node.inputs.length === 0 ? t : now(t)));
}

/** How often each output is read, by nodes and as a root. */
export function countUses(nodes: readonly Node[], roots: readonly Tensor[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const t of [...nodes.flatMap((n) => n.inputs), ...roots]) uses.set(t.key, (uses.get(t.key) ?? 0) + 1);
  return uses;
}

/**
 * A tree of additions whose inner sums nothing else reads becomes a chain, in which every term that its kernel can
 * add onto a tensor (op.accumulates) does so: residual connections, gradients of shared weights, and gradients that
 * are summed into a variable cost no pass of their own.
 */
export function foldSums(roots: readonly Tensor[]): Tensor[] {
  const nodes = reachable(roots);
  const uses = countUses(nodes, roots);
  const isSum = (node: Node): boolean =>
    node.op === addOp && node.inputs.every((x) => format(x.type) === format(new Tensor(node, 0).type));
  const isInner = (t: Tensor): boolean => isSum(t.node) && uses.get(t.key) === 1;
  const termsOf = (node: Node): Tensor[] => node.inputs.flatMap((x) => (isInner(x) ? termsOf(x.node) : [x]));
  const canFold = (t: Tensor): boolean =>
    t.node.op.accumulates?.includes(t.index) === true &&
    !accumulateOf(t.node.attrs).includes(t.index) &&
    uses.get(t.key) === 1;

  /** Of a node that accumulates: what it adds onto, by output. */
  const bases = new Map<Node, Map<number, () => Tensor>>();
  /** Of a sum: how it is built. */
  const sums = new Map<Node, () => Tensor>();
  const inner = new Set<Node>();
  for (const node of nodes) if (isSum(node)) for (const x of node.inputs) if (isInner(x)) inner.add(x.node);
  for (const node of nodes) {
    if (!isSum(node) || inner.has(node)) continue;
    const terms = termsOf(node).sort((a, b) => orderOf(a.node) - orderOf(b.node));
    const folded = chooseFolds(terms, canFold);
    const plain = terms.filter((t) => !folded.includes(t));
    let total = (): Tensor => plain.slice(1).reduce((sum, t) => add(sum, now(t)), now(outputOf(plain, 0)));
    for (const t of folded) {
      const base = total;
      bases.set(t.node, (bases.get(t.node) ?? new Map<number, () => Tensor>()).set(t.index, base));
      total = () => now(t);
    }
    sums.set(node, total);
  }

  const built = new Map<Node, readonly Tensor[]>();
  const now = (t: Tensor): Tensor => outputOf(build(t.node), t.index);
  function build(node: Node): readonly Tensor[] {
    const known = built.get(node);
    if (known) return known;
    const outputs = buildNew(node);
    built.set(node, outputs);
    return outputs;
  }
  function buildNew(node: Node): readonly Tensor[] {
    if (isLeaf(node)) return outputsOf(node);
    const sum = sums.get(node);
    if (sum) {
      const total = sum();
      if (!tracedAt.has(total.node) && total.node.op === addOp) tracedAt.set(total.node, orderOf(node));
      return [total];
    }
    const inputs = node.inputs.map(now);
    const added = bases.get(node);
    if (added)
      return rebuild(node, [...inputs, ...[...added.values()].map((base) => base())], {
        ...node.attrs,
        accumulate: [...accumulateOf(node.attrs), ...added.keys()],
      });
    const same = inputs.every((t, i) => t.key === node.inputs[i]?.key);
    return same ? outputsOf(node) : rebuild(node, inputs);
  }
  // In traced order, so that the recursion stays shallow; folded terms are built when their sum is.
  for (const node of nodes) if (!inner.has(node) && !bases.has(node)) build(node);
  return roots.map(now);
}

/**
 * The terms of a sum (in traced order) that accumulate, in the order of their chain. A kernel with further outputs
 * must run when those are needed, so it may only add onto what was traced before it.
 */
function chooseFolds(terms: readonly Tensor[], canFold: (t: Tensor) => boolean): Tensor[] {
  const fixed = terms.filter((t) => !canFold(t));
  const last = Math.max(-Infinity, ...fixed.map((t) => (isLeaf(t.node) ? -Infinity : orderOf(t.node))));
  const folded = terms.filter((t) => canFold(t) && (t.node.types.length === 1 || orderOf(t.node) > last));
  return folded.length === terms.length ? folded.slice(1) : folded;
}
