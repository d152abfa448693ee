import attention from '../../shaders/attention.wgsl';
import attentionGrad from '../../shaders/attentionGrad.wgsl';
import attentionTiles from '../../shaders/attentionTiles.wgsl';
import activation from '../../shaders/activation.wgsl';
import common from '../../shaders/common.wgsl';
import dropout from '../../shaders/dropout.wgsl';
import elementwise from '../../shaders/elementwise.wgsl';
import layout from '../../shaders/layout.wgsl';
import lists from '../../shaders/lists.wgsl';
import matmul from '../../shaders/matmul.wgsl';
import matmulMatrices from '../../shaders/matmulMatrices.wgsl';
import norm from '../../shaders/norm.wgsl';
import reduce from '../../shaders/reduce.wgsl';
import rope from '../../shaders/rope.wgsl';
import softmax from '../../shaders/softmax.wgsl';
import rows from '../../shaders/rows.wgsl';
import optimizer from '../../shaders/optimizer.wgsl';
import teams from '../../shaders/teams.wgsl';
import teamsInSubgroups from '../../shaders/teamsInSubgroups.wgsl';
import tokenLogProbs from '../../shaders/tokenLogProbs.wgsl';
import { PrefgradError } from '../errors.ts';
import type { Capabilities } from './capabilities.ts';

/** Every shader file, as it stands in shaders/. */
export const shaderFiles = {
  attention: `${attentionTiles}\n${attention}`,
  attentionGrad: `${attentionTiles}\n${attentionGrad}`,
  activation,
  dropout,
  elementwise,
  layout,
  matmul,
  norm,
  reduce,
  rope,
  softmax,
  rows,
  optimizer,
  tokenLogProbs,
};
export type ShaderFile = keyof typeof shaderFiles;

/** A storage binding that a file declares. */
export interface Declared {
  readonly binding: number;
  /** What its array holds, and the bytes of that. */
  readonly type: string;
  readonly stride: number;
  /** Declared for writing, since some entry of the file writes it. */
  readonly written: boolean;
}

const DECLARATION =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read|read_write)>\s*(\w+)\s*:\s*array<(\w+(?:<\w+>)?)>;/g;
const STRIDES: Readonly<Record<string, number>> = {
  f32: 4,
  i32: 4,
  u32: 4,
  vec4f: 16,
  vec2f: 8,
  vec2u: 8,
  vec4u: 16,
};

/** The storage bindings of a file, by name. */
export function declarationsOf(file: ShaderFile): ReadonlyMap<string, Declared> {
  const found = new Map<string, Declared>();
  for (const [, binding, mode, name = '', type = ''] of shaderFiles[file].matchAll(DECLARATION)) {
    const stride = STRIDES[type];
    if (stride === undefined) throw new PrefgradError(`shaders/${file}.wgsl: ${name} is an array of ${type}`);
    found.set(name, { binding: Number(binding), type, stride, written: mode === 'read_write' });
  }
  return found;
}

/** How a dispatch's operands share bindings: WebGPU lets no two of them alias where one is written. */
export interface Bindings {
  /** For an operand that lies where another one does, or that is not there: that one's name, or any other's. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Operands in buffers that the dispatch writes, which must be declared for writing as a whole. */
  readonly writable: ReadonlySet<string>;
}

/** A file's text for an adapter, with the operands of one dispatch as they are bound. */
export function shaderSource(
  file: ShaderFile,
  { aliases, writable }: Bindings,
  capabilities: Capabilities,
): string {
  let text = shaderFiles[file].replace(DECLARATION, (declaration: string, ...[, , name = '']: string[]) => {
    if (name in aliases) return '';
    return writable.has(name)
      ? declaration.replace(/<storage,\s*read>/, '<storage, read_write>')
      : declaration;
  });
  for (const [name, other] of Object.entries(aliases))
    text = text.replace(new RegExp(`(?<!\\.)\\b${name}\\b`, 'g'), other);
  const before = [
    common,
    ...(/: List\b/.test(text) ? [lists] : []),
    ...teamsFor(text, capabilities),
    ...productsBefore(file, capabilities),
  ];
  return directivesFirst([...before, text, ...productsAfter(file, capabilities)].join('\n'));
}

/** How the teams of a text make their sums, where it has some. */
function teamsFor(text: string, { subgroups }: Capabilities): string[] {
  if (!/: Thread\b/.test(text)) return [];
  return subgroups === undefined ? [teams] : [`const LEAST_LANES = ${subgroups}u;`, teamsInSubgroups];
}

/** What the tiles of products hold. */
function productsBefore(file: ShaderFile, { products }: Capabilities): string[] {
  if (file !== 'matmul') return [];
  return products === 'f16' ? ['enable f16;', 'alias Quad = vec4h;'] : ['alias Quad = vec4f;'];
}

/** The products by subgroup matrices, whose sizes are constants of the text. */
function productsAfter(file: ShaderFile, { products }: Capabilities): string[] {
  if (file !== 'matmul' || typeof products === 'string') return [];
  const { m, n, k, lanes } = products;
  const sizes = Object.entries({ MATRIX_M: m, MATRIX_N: n, MATRIX_K: k, LANES: lanes });
  return [...sizes.map(([name, size]) => `const ${name} = ${size}u;`), matmulMatrices];
}

/** WGSL wants what a text enables before its first declaration. */
function directivesFirst(text: string): string {
  const directive = /^(?:enable|diagnostic)\b.*;$/gm;
  return [...(text.match(directive) ?? []), text.replace(directive, '')].join('\n');
}
