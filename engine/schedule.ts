import { reachable } from './grad.ts';
import type { Node, Variable } from './graph.ts';
import type { Tensor } from './graph.ts';
import { orderOf } from './simplify.ts';

/** Later than anything before it, earlier than the next traced node. */
const JUST_AFTER = 1e-7;

/**
 * The order in which nodes run: as traced, except that a node which only makes a variable's new value runs as soon
 * as its inputs and the last reader of the old value allow, so that a weight's gradient is accumulated where it is
 * computed instead of being kept until the end.
 */
export function schedule(
  roots: readonly Tensor[],
  updates: readonly { readonly variable: Variable; readonly value: Tensor }[],
): Node[] {
  const nodes = reachable(roots);
  const readers = new Map<Node, Node[]>();
  for (const node of nodes)
    for (const x of node.inputs) readers.set(x.node, [...(readers.get(x.node) ?? []), node]);
  const updated = new Map<Node, Variable[]>();
  for (const { variable, value } of updates)
    if (!readers.has(value.node)) updated.set(value.node, [...(updated.get(value.node) ?? []), variable]);

  const at = new Map<Node, number>();
  const after = (others: Iterable<Node>): number => {
    let latest = -Infinity;
    for (const n of others) latest = Math.max(latest, at.get(n) ?? -Infinity);
    return latest + JUST_AFTER;
  };
  for (const node of nodes) {
    if (node.inputs.length === 0) at.set(node, -1);
    else if (!updated.has(node)) at.set(node, Math.max(orderOf(node), after(node.inputs.map((x) => x.node))));
  }
  for (const [node, variables] of updated) {
    const others = variables.flatMap((v) => readers.get(v.tensor.node) ?? []).filter((n) => n !== node);
    at.set(node, Math.max(after(node.inputs.map((x) => x.node)), after(others)));
  }
  return [...nodes].sort((a, b) => (at.get(a) ?? 0) - (at.get(b) ?? 0) || a.id - b.id);
}
