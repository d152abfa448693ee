import { broadcastSteps, loopsOver } from '../../loops.ts';
import type { Lowering } from '../call.ts';
import { address, elementsOf, float, int, loopFields, numberAttr, operand } from '../call.ts';

// A kernel's opcode is the name's place in its list (kernels/elementwise.ts).
const UNARY = ['neg', 'exp', 'log', 'sqrt', 'square', 'abs', 'relu', 'sigmoid', 'tanh', 'logSigmoid'];
const BINARY = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'greater'];

const unary = (opcode: number): Lowering => ({
  lower({ inputs, outputs }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const fields = [int(opcode), address(x), address(y), elementsOf(y.type)];
    return [{ kernel: 'unary', fields, reads: [x], writes: [y] }];
  },
});

const binary = (name: string, opcode: number): Lowering => ({
  lower({ inputs, outputs }) {
    const [a, b, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
    const loops = loopsOver(name, y.type, [broadcastSteps(a.type, y.type), broadcastSteps(b.type, y.type)]);
    const fields = [int(opcode), ...[a, b, y].map((t) => address(t)), ...loopFields(y.type, loops)];
    return [{ kernel: 'binary', fields, reads: [a, b], writes: [y] }];
  },
});

const affine: Lowering = {
  lower({ inputs, outputs, attrs }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const numbers = [float(numberAttr(attrs, 'scale')), float(numberAttr(attrs, 'shift'))];
    const fields = [address(x), address(y), elementsOf(y.type), ...numbers];
    return [{ kernel: 'affine', fields, reads: [x], writes: [y] }];
  },
};

export const elementwiseLowerings: Record<string, Lowering> = {
  ...Object.fromEntries(UNARY.map((name, i) => [name, unary(i)])),
  ...Object.fromEntries(BINARY.map((name, i) => [name, binary(name, i)])),
  affine,
};
