import { broadcastSteps, loopsOver } from '../../loops.ts';
import type { Lowering } from '../dispatch.ts';
import { numberAttr, operand } from '../dispatch.ts';
import { listDispatch, loopConstants, stepConstants } from './list.ts';

// An opcode is the name's place in its list (shaders/elementwise.wgsl).
const UNARY = [
  'neg',
  'exp',
  'log',
  'sqrt',
  'square',
  'abs',
  'relu',
  'sigmoid',
  'tanh',
  'logSigmoid',
  'affine',
];
const BINARY = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'greater'];

const unary = (name: string, OPCODE: number): Lowering => ({
  lower({ inputs, outputs, attrs, countOf }) {
    const [a, y] = [operand(inputs, 0), operand(outputs, 0)];
    const numbers: Record<string, number> =
      name === 'affine' ? { SCALE: numberAttr(attrs, 'scale'), SHIFT: numberAttr(attrs, 'shift') } : {};
    return [
      listDispatch(y.type, countOf, {
        shader: 'elementwise',
        entry: 'unary',
        constants: { OPCODE, ...numbers },
        reads: { a },
        writes: { y },
      }),
    ];
  },
});

const binary = (name: string, OPCODE: number): Lowering => ({
  lower({ inputs, outputs, countOf }) {
    const [a, b, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
    const { sizes, steps } = loopsOver(name, y.type, [
      broadcastSteps(a.type, y.type),
      broadcastSteps(b.type, y.type),
    ]);
    const [aSteps, bSteps] = steps;
    return [
      listDispatch(y.type, countOf, {
        shader: 'elementwise',
        entry: 'binary',
        constants: {
          OPCODE,
          ...loopConstants(sizes),
          ...stepConstants('A', aSteps),
          ...stepConstants('B', bSteps),
        },
        reads: { a, b },
        writes: { y },
      }),
    ];
  },
});

export const elementwiseLowerings: Record<string, Lowering> = {
  ...Object.fromEntries(UNARY.map((name, i) => [name, unary(name, i)])),
  ...Object.fromEntries(BINARY.map((name, i) => [name, binary(name, i)])),
};
