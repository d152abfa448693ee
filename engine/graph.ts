import { PrefgradError, ShapeError } from './errors.ts';
import type { Attrs, Op } from './op.ts';
import type { DType, TensorType } from './shape.ts';
import { format } from './shape.ts';

/** One application of an op. Ids grow in the order of creation, so inputs always have smaller ids. */
export interface Node {
  readonly id: number;
  readonly op: Op;
  readonly attrs: Attrs;
  readonly inputs: readonly Tensor[];
  readonly types: readonly TensorType[];
  /** The variable that a leaf stands for. */
  readonly variable?: Variable;
}

/** A handle on one output of a graph node. It holds no numbers; a program that runs gives them. */
export class Tensor {
  constructor(
    readonly node: Node,
    readonly index: number,
  ) {}
  get type(): TensorType {
    return typeAt(this.node, this.index);
  }
  get shape(): readonly number[] {
    return this.type.shape;
  }
  get dtype(): DType {
    return this.type.dtype;
  }
  /** The name of the count of true rows, where shape[0] is a capacity. */
  get rows(): string | undefined {
    return this.type.rows;
  }
  /** Identity of this output, for maps. */
  get key(): string {
    return `${this.node.id}.${this.index}`;
  }
  toString(): string {
    return `${this.node.op.name}${format(this.type)}`;
  }
}

function typeAt(node: Node, index: number): TensorType {
  const type = node.types[index];
  if (type === undefined) throw new PrefgradError(`${node.op.name} has no output ${index}`);
  return type;
}

let nextId = 0;

/** Adds a node for each output type that the op's shape rule gives; shape errors are thrown here, at the call. */
export function applyAll<A extends Attrs>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor[] {
  inputs.forEach((t, i) => {
    if (t.type.blocks !== undefined && op.unpacks?.includes(i) !== true)
      throw new ShapeError(`${op.name}: takes no input in blocks, got ${format(t.type)}; unpack it`);
    if (t.type.dtype === 'bf16' && op.widens?.includes(i) !== true)
      throw new ShapeError(`${op.name}: takes no input of bf16, got ${format(t.type)}`);
  });
  const types = op.shape(
    inputs.map((t) => t.type),
    attrs,
  );
  const node: Node = { id: nextId++, op, attrs, inputs, types };
  return types.map((_, i) => new Tensor(node, i));
}

/** As applyAll, for the first output. */
export function apply<A extends Attrs>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor {
  return outputOf(applyAll(op, inputs, attrs), 0);
}

export function outputOf(tensors: readonly Tensor[], index: number): Tensor {
  const tensor = tensors[index];
  if (tensor === undefined) throw new PrefgradError(`there is no tensor ${index} among ${tensors.length}`);
  return tensor;
}

const leaf = (name: string): Op => ({
  name,
  shape: () => [],
  define: () => {},
  samples: [],
});
const inputOp = leaf('input');
const variableOp = leaf('variable');

/** A symbolic input of a program. */
export function input(type: TensorType): Tensor {
  return new Tensor({ id: nextId++, op: inputOp, attrs: {}, inputs: [], types: [type] }, 0);
}

export const isInput = (node: Node): boolean => node.op === inputOp;

/**
 * A named tensor that lives on a device between runs: a parameter, its gradient, an optimizer moment, a cache.
 * In a graph it stands for its value before the run; `updates` of a program give the value after it.
 */
export class Variable {
  readonly tensor: Tensor;
  constructor(
    readonly name: string,
    readonly type: TensorType,
  ) {
    this.tensor = new Tensor(
      { id: nextId++, op: variableOp, attrs: {}, inputs: [], types: [type], variable: this },
      0,
    );
  }
}
