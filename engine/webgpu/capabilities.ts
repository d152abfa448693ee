import { PrefgradError } from '../errors.ts';
import type { Subject } from './trials.ts';

/** Subgroup matrices A [m, k], B [k, n] and C [m, n] of an adapter, and the threads of its largest subgroup. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly lanes: number;
}

/** What of an adapter's features decides how an op is dispatched, and how its shaders are written. */
export interface Capabilities {
  /** Threads of the adapter's smallest subgroup, where sums are made in subgroups. */
  readonly subgroups: number | undefined;
  /**
   * Products of matrices: in float32; or with operands rounded to float16 and sums in float32, by single threads or by
   * subgroup matrices of some shape.
   */
  readonly products: 'f32' | 'f16' | MatrixShape;
}

export interface Variants {
  /** Sums in subgroups where the adapter has them (default); `false`: in workgroup memory. */
  readonly subgroups?: boolean | undefined;
  /**
   * How matrices are multiplied (default `f32`). `f16` rounds both operands to float16 and sums in float32: results are
   * then about 3e-4 off (root mean square, of normal operands) instead of 1e-7, what exceeds 65,504 becomes infinite, and
   * what is below 6e-5, as gradients may be, loses bits until nothing is left at 6e-8. `subgroup-matrix` does the same
   * with a GPU's matrix units. Products of up to four rows and attention's own stay in float32. `auto` is the first of
   * `subgroup-matrix`, `f16` and `f32` that works here. Both kinds of float16 have been validated and run in emulation,
   * not on hardware.
   */
  readonly products?: 'f32' | 'f16' | 'subgroup-matrix' | 'auto' | undefined;
}

/** Runs programs with known results on a device made for it (trials.ts); what was wrong, or undefined. */
export type Trial = (subject: Subject, capabilities: Capabilities) => Promise<string | undefined>;

/** What is used of an adapter, and what is worth telling about it. */
export interface Choice {
  readonly capabilities: Capabilities;
  readonly notes: readonly string[];
}

/**
 * The variants that are asked for, that the adapter has the features for, and that pass a trial on it.
 * Errors: `products` names one that does not; the message says why.
 */
export async function chooseCapabilities(
  adapter: GPUAdapter,
  { subgroups = true, products = 'f32' }: Variants,
  trial: Trial,
): Promise<Choice> {
  let capabilities: Capabilities = { subgroups: undefined, products: 'f32' };
  const notes: string[] = [];
  const adopt = async (subject: Subject, change: Partial<Capabilities>): Promise<string | undefined> => {
    const better = { ...capabilities, ...change };
    const wrong = await trial(subject, better);
    if (wrong === undefined) capabilities = better;
    return wrong;
  };
  const halves = async (): Promise<string | undefined> =>
    adapter.features.has('shader-f16')
      ? adopt('products', { products: 'f16' })
      : 'the adapter has no shader-f16';
  const matrices = async (): Promise<string | undefined> => {
    const shape = matrixShape(adapter);
    return typeof shape === 'string' ? shape : adopt('products', { products: shape });
  };

  const least = adapter.info.subgroupMinSize;
  if (subgroups && adapter.features.has('subgroups') && least) {
    const wrong = await adopt('sums', { subgroups: least });
    if (wrong !== undefined) notes.push(`no sums in subgroups: ${wrong}`);
  }
  if (products === 'auto') {
    const noMatrices = await matrices();
    const noHalves = noMatrices === undefined ? undefined : await halves();
    if (noMatrices !== undefined) notes.push(`no subgroup matrices: ${noMatrices}`);
    if (noHalves !== undefined) notes.push(`no float16: ${noHalves}`);
  } else if (products !== 'f32') {
    const wrong = await (products === 'f16' ? halves() : matrices());
    if (wrong !== undefined)
      throw new PrefgradError(
        `device webgpu cannot multiply as products: ${products} asks: ${wrong}; auto takes the fastest way that works here, f32 works everywhere`,
      );
  }
  if (products !== 'f32') notes.unshift(describeProducts(capabilities.products));
  return { capabilities, notes };
}

function describeProducts(products: Capabilities['products']): string {
  if (products === 'f32') return 'products in float32';
  return products === 'f16' ? 'products of float16' : 'products of float16 by subgroup matrices';
}

/** Dawn's addition to an adapter's info; no array in all versions, and its members have getters. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** The largest subgroup matrices of float16 with float32 results that shaders/matmulMatrices.wgsl can use, or why none. */
export function matrixShape({ features, info }: GPUAdapter): MatrixShape | string {
  const { subgroupMaxSize: lanes = 0, subgroupMatrixConfigs } = info as GPUAdapterInfo & {
    readonly subgroupMatrixConfigs?: Iterable<MatrixConfig>;
  };
  const needed = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
  const missing = needed.filter((name) => !features.has(name));
  if (missing.length > 0) return `the adapter has no ${missing.join(', no ')}`;
  if (lanes < 16 || lanes > 64) return `subgroups have ${lanes} threads`;
  const shapes = [...(subgroupMatrixConfigs ?? [])]
    .filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32')
    .map(({ M: m, N: n, K: k }) => ({ m, n, k, lanes }))
    .filter(({ m, n, k }) => 32 % m === 0 && 16 % n === 0 && 32 % k === 0)
    .sort((x, y) => y.m * y.n * y.k - x.m * x.n * x.k);
  return shapes[0] ?? 'the adapter has none of float16 with float32 results in sizes of 8, 16 or 32';
}
