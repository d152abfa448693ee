import { broadcastSteps, loopsOver } from '../../loops.ts';
import type { Lowering } from '../dispatch.ts';
import { elementsOf, groupList, numberAttr, operand, widthOf } from '../dispatch.ts';

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
/** Elements of one workgroup. */
export const GROUP = 1024;

const unary = (name: string, OPCODE: number): Lowering => ({
  lower({ inputs, outputs, attrs, countOf }) {
    const [a, y] = [operand(inputs, 0), operand(outputs, 0)];
    const numbers: Record<string, number> =
      name === 'affine' ? { SCALE: numberAttr(attrs, 'scale'), SHIFT: numberAttr(attrs, 'shift') } : {};
    return [
      {
        shader: 'elementwise',
        entry: 'unary',
        constants: { OPCODE, PLACE: countOf(y.type).place, WIDTH: widthOf(y.type), ...numbers },
        reads: { a },
        writes: { y },
        workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
      },
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
    const [[A0 = 0, A1 = 0, A2 = 0, A3 = 0] = [], [B0 = 0, B1 = 0, B2 = 0, B3 = 0] = []] = steps;
    const [, SIZE1 = 1, SIZE2 = 1, SIZE3 = 1] = sizes;
    return [
      {
        shader: 'elementwise',
        entry: 'binary',
        constants: {
          ...{ OPCODE, PLACE: countOf(y.type).place, WIDTH: widthOf(y.type), SIZE1, SIZE2, SIZE3 },
          ...{ A0, A1, A2, A3, B0, B1, B2, B3 },
        },
        reads: { a, b },
        writes: { y },
        workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
      },
    ];
  },
});

export const elementwiseLowerings: Record<string, Lowering> = {
  ...Object.fromEntries(UNARY.map((name, i) => [name, unary(name, i)])),
  ...Object.fromEntries(BINARY.map((name, i) => [name, binary(name, i)])),
};
