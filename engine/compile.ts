import { PrefgradError } from './errors.ts';
import type { Node, Tensor, Variable } from './graph.ts';
import { input, outputOf } from './graph.ts';
import { schedule } from './schedule.ts';
import type { TensorType } from './shape.ts';
import { format } from './shape.ts';
import { foldSums, shareCommon } from './simplify.ts';

/** A variable's new value, which takes effect when the program has run. */
export interface Update {
  readonly variable: Variable;
  readonly value: Tensor;
}

/** What a traced function gives back. */
export interface Traced {
  readonly outputs?: Readonly<Record<string, Tensor>>;
  readonly updates?: readonly Update[];
}

/** A traced function, ready for a device: its nodes in the order in which they run. */
export interface Program {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly updates: readonly Update[];
  readonly nodes: readonly Node[];
}

/**
 * Runs `trace` once on symbolic inputs of the given types, and makes of the graph a program: dead code and common
 * subexpressions removed, sums folded into the kernels that can accumulate, nodes ordered so that accumulations and
 * updates run as soon as they can. Errors: shapes that do not fit, thrown by the op's call inside `trace`.
 */
export function compile<const I extends Readonly<Record<string, TensorType>>>(
  name: string,
  types: I,
  trace: (inputs: { readonly [K in keyof I]: Tensor }) => Traced,
): Program {
  const inputs = Object.fromEntries(Object.entries(types).map(([key, type]) => [key, input(type)])) as {
    [K in keyof I]: Tensor;
  };
  const { outputs = {}, updates = [] } = trace(inputs);
  for (const { variable, value } of updates) {
    if (format(value.type) !== format(variable.type))
      throw new PrefgradError(
        `${name}: ${variable.name} is ${format(variable.type)}, its new value ${format(value.type)}`,
      );
    if (value.node.variable || value.node.op.name === 'input')
      throw new PrefgradError(`${name}: ${variable.name} must be updated by a computed tensor`);
  }
  const keys = Object.keys(outputs);
  const roots = foldSums(shareCommon([...Object.values(outputs), ...updates.map((u) => u.value)]));
  const newUpdates = updates.map(({ variable }, i) => ({
    variable,
    value: outputOf(roots, keys.length + i),
  }));
  return {
    name,
    inputs,
    outputs: Object.fromEntries(keys.map((key, i) => [key, outputOf(roots, i)])),
    updates: newUpdates,
    nodes: schedule(roots, newUpdates),
  };
}

/** The variables that a program reads or updates. */
export function variablesOf(program: Program): Variable[] {
  const found = new Set(program.updates.map((u) => u.variable));
  for (const node of program.nodes) if (node.variable) found.add(node.variable);
  return [...found];
}
