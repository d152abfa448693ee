import type { Device, Executable, InputNumbers, MemoryUse, Numbers } from '../backend.ts';
import { checkWritten, countsOf, decode, encode } from '../backend.ts';
import type { BlockFormat } from '../blocks.ts';
import { blockFormats, unpackBlocks } from '../blocks.ts';
import type { Program } from '../compile.ts';
import { variablesOf } from '../compile.ts';
import { PrefgradError } from '../errors.ts';
import type { Tensor, Variable } from '../graph.ts';
import { isInput } from '../graph.ts';
import type { Value } from '../op.ts';
import { accumulateOf, baseOf } from '../ops/inputs.ts';
import type { TensorType } from '../shape.ts';
import { sizeOf, trueShape } from '../shape.ts';
import { countUses } from '../simplify.ts';

/** Runs the ops' own definitions in float64, one after the other: slow, and what the other backends must agree with. */
export class ReferenceDevice implements Device {
  readonly kind = 'reference';
  readonly lag = 0;
  readonly blocks = Object.keys(blockFormats) as readonly BlockFormat[];
  readonly description = 'reference: the definitions of the ops, in float64';
  readonly #variables = new Map<Variable, Float64Array>();

  write(variable: Variable, numbers: InputNumbers | Uint8Array): void {
    checkWritten(variable, numbers);
    const { blocks } = variable.type;
    const plain = blocks && numbers instanceof Uint8Array ? unpackBlocks(blocks, numbers) : numbers;
    this.#variables.set(variable, asKept(variable.type, plain));
  }

  read(variable: Variable): Promise<Float64Array> {
    return Promise.resolve(this.#value(variable).slice());
  }

  free(variable: Variable): void {
    this.#variables.delete(variable);
  }

  get memory(): MemoryUse {
    let variables = 0;
    for (const data of this.#variables.values()) variables += data.byteLength;
    return { variables, arena: 0, total: variables };
  }

  load(program: Program): Promise<Executable> {
    return Promise.resolve({
      program,
      arenaBytes: 0,
      run: (inputs) => Promise.resolve(this.#run(program, inputs)),
      dispose: () => {},
    });
  }

  dispose(): Promise<void> {
    this.#variables.clear();
    return Promise.resolve();
  }

  /** A variable's numbers: zeros until something is written. */
  #value(variable: Variable): Float64Array {
    const known = this.#variables.get(variable);
    if (known) return known;
    const zeros = new Float64Array(sizeOf(variable.type.shape));
    this.#variables.set(variable, zeros);
    return zeros;
  }

  #run(program: Program, given: Readonly<Record<string, InputNumbers>>): Record<string, Numbers> {
    const counts = countsOf(program, given);
    const values = new Map<string, Value>();
    for (const variable of variablesOf(program))
      values.set(variable.tensor.key, { shape: variable.type.shape, data: this.#value(variable) });
    for (const [name, t] of Object.entries(program.inputs))
      values.set(t.key, { shape: trueShape(t.type, counts), data: asKept(t.type, given[name] ?? []) });

    const roots = [...Object.values(program.outputs), ...program.updates.map((u) => u.value)];
    const uses = countUses(program.nodes, roots);
    const valueOf = (t: Tensor): Value => {
      const value = values.get(t.key);
      if (value === undefined) throw new PrefgradError(`${t.toString()} is read before it is computed`);
      return value;
    };
    for (const node of program.nodes) {
      if (node.variable || isInput(node)) continue;
      const outputs = node.types.map((type): Value => {
        const shape = trueShape(type, counts);
        return { shape, data: new Float64Array(sizeOf(shape)) };
      });
      const operands = node.inputs.map(valueOf);
      const accumulate = accumulateOf(node.attrs);
      node.op.define(operands.slice(0, operands.length - accumulate.length), outputs, node.attrs);
      for (const index of accumulate) addTo(outputs[index], baseOf(operands, accumulate, index));
      outputs.forEach((value, i) => values.set(`${node.id}.${i}`, value));
      for (const x of node.inputs) {
        const left = (uses.get(x.key) ?? 0) - 1;
        uses.set(x.key, left);
        if (left === 0) values.delete(x.key);
      }
    }
    const outputs = Object.fromEntries(
      Object.entries(program.outputs).map(([name, t]) => [name, valueOf(t).data.slice()]),
    );
    for (const { variable, value } of program.updates)
      this.#variables.set(variable, valueOf(value).data.slice());
    return outputs;
  }
}

/** Numbers as they are, but for those of bf16, which lose their last bits. */
function asKept(type: TensorType, numbers: InputNumbers | Uint8Array): Float64Array {
  const kept = encode(type, numbers);
  return Float64Array.from(kept instanceof Uint16Array ? decode(type, kept, numbers.length) : kept);
}

function addTo(y: Value | undefined, base: Value | undefined): void {
  base?.data.forEach((v, i) => y && (y.data[i] = (y.data[i] ?? 0) + v));
}
