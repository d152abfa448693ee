import type { Program } from '../compile.ts';
import { PrefgradError } from '../errors.ts';
import type { Node } from '../graph.ts';
import type { Place, Plan, Step, Storage } from '../plan.ts';
import { makePlan } from '../plan.ts';
import type { TensorType } from '../shape.ts';
import { bytesOf } from '../shape.ts';
import type { Capabilities } from './capabilities.ts';
import type { Dispatch, LowerArgs, Operand, Region } from './dispatch.ts';
import { ALIGNMENT, MOST_COUNTS } from './dispatch.ts';
import { lowerings } from './lower/index.ts';
import { copyDispatch } from './lower/layout.ts';

/** A dispatch with the op that it is a part of. */
export interface Linked extends Dispatch {
  readonly op: string;
}

/** Names of the counts that a program's inputs give, in the order of their places in the uniform. */
export function countNames(program: Program): string[] {
  const names = new Set(Object.values(program.inputs).flatMap((t) => t.rows ?? []));
  if (names.size > MOST_COUNTS)
    throw new PrefgradError(
      `${program.name} counts ${names.size} kinds of rows, and WebGPU takes ${MOST_COUNTS}`,
    );
  return [...names];
}

function loweringOf(node: Node) {
  const lowering = lowerings[node.op.name];
  if (lowering === undefined) throw new PrefgradError(`${node.op.name} has no WebGPU shader`);
  return lowering;
}

/** The plan of a program as this backend runs it. */
export function planFor(program: Program, blockBytes?: number): Plan {
  const workspace = (node: Node): number => {
    if (node.op.view === true) return 0;
    const types = node.inputs.map((t) => t.type);
    return loweringOf(node).workspace?.(types, node.attrs) ?? 0;
  };
  return makePlan(program, { workspace, alignment: ALIGNMENT, blockBytes });
}

/** The dispatches of a plan, in order. Nothing here needs a GPU. */
export function link(plan: Plan, capabilities: Capabilities): Linked[] {
  const names = countNames(plan.program);
  const countOf: LowerArgs['countOf'] = ({ rows, shape }) => ({
    // A count that no input gives stands at its capacity.
    place: rows !== undefined && names.includes(rows) ? names.indexOf(rows) : MOST_COUNTS,
    capacity: shape[0] ?? 1,
  });
  const lower = ({ node, inputs, outputs, workspace }: Step): Linked[] =>
    loweringOf(node)
      .lower({
        inputs: inputs.map((p, i) => operandAt(p, node.inputs[i]?.type)),
        outputs: outputs.map((p, i) => operandAt(p, node.types[i])),
        attrs: node.attrs,
        workspace: workspace ? regionOf(workspace) : { home: 'arena', offset: 0, bytes: 0 },
        capabilities,
        countOf,
      })
      .map((dispatch) => ({ ...dispatch, op: node.op.name }));
  const copies = plan.copies.map(({ from, to }) => {
    const y = operandAt({ kind: 'variable', variable: to }, to.type);
    return { ...copyDispatch(operandAt(from, to.type), y, countOf), op: 'update' };
  });
  return [...plan.steps.flatMap(lower), ...copies];
}

const regionOf = ({ offset, bytes }: Storage): Region => ({ home: 'arena', offset, bytes });

/** Where a tensor of a plan lies. */
export function placeRegion(place: Place, bytes: number): Region {
  if (place.kind === 'variable') return { home: place.variable, offset: 0, bytes };
  if (place.kind === 'input') return { home: 'inputs', offset: place.offset, bytes };
  return { home: 'arena', offset: place.storage.offset, bytes };
}

function operandAt(place: Place, type: TensorType | undefined): Operand {
  if (type === undefined) throw new Error('an operand of a plan has no type');
  return { ...placeRegion(place, bytesOf(type)), type };
}
