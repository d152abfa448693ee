import { PrefgradError, ShapeError } from './errors.ts';
import type { Node } from './graph.ts';
import { Tensor, applyAll, outputOf } from './graph.ts';
import { checkpointOp } from './ops/checkpoint.ts';
import { add } from './ops/elementwise.ts';
import { accumulateOf } from './ops/inputs.ts';
import { fill, zeros } from './ops/layout.ts';
import { format, sizeOf } from './shape.ts';

/** The nodes that the roots depend on, inputs before their users. */
export function reachable(roots: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = roots.map((t) => t.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const t of node.inputs) stack.push(t.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

export interface GradOptions {
  /**
   * Outputs of cheap ops (norms, activations: op.cheap) are computed again where the gradient needs them, instead of
   * being kept from the forward pass: the same numbers, in less memory. `blocks`: all that leads to a checkpoint is
   * (Chen et al., arXiv 1604.06174), from the checkpoint before it, so that little but checkpoints is kept.
   */
  readonly recompute?: boolean | 'blocks';
}

/**
 * Gradients of a scalar with respect to tensors, as more graph (reverse mode). A tensor that the loss does not
 * depend on has a gradient of zeros.
 */
export function grad(
  loss: Tensor,
  wrt: readonly Tensor[],
  { recompute = false }: GradOptions = {},
): Tensor[] {
  if (sizeOf(loss.shape) !== 1)
    throw new ShapeError(`grad: the loss must be one number, got ${format(loss.type)}; take its sum or mean`);
  const nodes = reachable([loss]);
  const wanted = new Set(wrt.map((t) => t.node));
  const onPath = new Set<Node>();
  for (const node of nodes)
    if (wanted.has(node) || node.inputs.some((t) => onPath.has(t.node))) onPath.add(node);

  const again = recompute === false ? (t: Tensor) => t : recomputed(recompute === 'blocks' ? nodes : []);
  const grads = new Map<string, Tensor>([[loss.key, fill(loss.type, 1)]]);
  for (const node of nodes.reverse()) {
    if (!onPath.has(node) || node.inputs.length === 0) continue;
    const outputs = node.types.map((_, i) => new Tensor(node, i));
    const dOutputs = outputs.map((t) => grads.get(t.key));
    if (dOutputs.every((d) => d === undefined)) continue;
    const { op, inputs, attrs } = node;
    if (op.gradient === undefined) throw new PrefgradError(`${op.name} has no gradient; detach its inputs?`);
    const dInputs = op.gradient({
      inputs: inputs.map(again),
      outputs: outputs.map(again),
      attrs,
      grads: dOutputs,
      wanted: inputs.map((x) => onPath.has(x.node)),
    });
    const accumulate = accumulateOf(attrs);
    node.inputs.forEach((x, i) => {
      const added = accumulate[i - (inputs.length - accumulate.length)];
      const dx = added === undefined ? dInputs[i] : dOutputs[added];
      if (dx === undefined || !onPath.has(x.node)) return;
      const before = grads.get(x.key);
      grads.set(x.key, before ? add(before, dx) : dx);
    });
  }
  return wrt.map((t) => grads.get(t.key) ?? zeros(t.type));
}

/**
 * Gives tensors anew, each once: cheap ones, and what lies before a checkpoint among `nodes`. The attribute keeps
 * common subexpressions from being shared with the old ones.
 */
function recomputed(nodes: readonly Node[]): (t: Tensor) => Tensor {
  const blocks = new Set(reachable(nodes.filter((n) => n.op === checkpointOp).map((n) => new Tensor(n, 0))));
  const made = new Map<Node, readonly Tensor[]>();
  const again = (t: Tensor): Tensor => {
    const { op, inputs, attrs } = t.node;
    const kept = inputs.length === 0 || op === checkpointOp || !blocks.has(t.node);
    if (kept && op.cheap !== true) return t;
    const outputs = made.get(t.node) ?? applyAll(op, inputs.map(again), { ...attrs, again: true });
    made.set(t.node, outputs);
    return outputOf(outputs, t.index);
  };
  return again;
}
