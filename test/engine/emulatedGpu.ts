import { DAWN_FLAGS, loadDawn } from '../../engine/webgpu/gpu.ts';

/** What a GPU seems to have beyond the one that is here, and how shaders that use it become ones that do not. */
export interface Emulation {
  readonly features?: readonly string[];
  readonly info?: Readonly<Record<string, unknown>>;
  readonly rewrite: (code: string) => string;
}

/** The software GPU of this machine in the guise of another. */
export async function emulatedGpu({ features = [], info = {}, rewrite }: Emulation): Promise<GPU> {
  const own = await loadDawn(DAWN_FLAGS);
  if (!own) throw new Error('there is no Dawn');
  const requestAdapter = async () => {
    const adapter = await own.requestAdapter();
    if (!adapter) return null;
    const { vendor, architecture, device, description } = adapter.info;
    const { isFallbackAdapter, subgroupMinSize, subgroupMaxSize } = adapter.info;
    const requestDevice = async (descriptor: GPUDeviceDescriptor) => {
      const requiredFeatures = [...(descriptor.requiredFeatures ?? [])].filter((f) =>
        adapter.features.has(f),
      );
      const made = await adapter.requestDevice({ ...descriptor, requiredFeatures });
      const create = made.createShaderModule.bind(made);
      made.createShaderModule = ({ code, ...rest }) => create({ ...rest, code: rewrite(code) });
      return made;
    };
    return {
      limits: adapter.limits,
      features: new Set([...adapter.features, ...features]),
      info: {
        ...{ vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize, subgroupMaxSize },
        ...info,
      },
      requestDevice,
    };
  };
  return { requestAdapter } as GPU;
}

/** float16 in workgroup memory as float32 that is rounded to what float16 holds. */
export const halves: Emulation = {
  features: ['shader-f16'],
  rewrite: (code) =>
    code
      .replaceAll('enable f16;', '')
      .replaceAll('alias Quad = vec4h;', 'alias Quad = vec4f;')
      .replaceAll('= Quad(vec4f(', '= quantizeToF16(vec4f('),
};

/** Subgroups of `lanes` threads that exchange numbers through workgroup memory. */
export const subgroupsOf = (lanes: number, least = lanes): Emulation => ({
  info: { subgroupMinSize: least, subgroupMaxSize: lanes },
  rewrite: (code) => {
    if (!code.includes('subgroupShuffleXor')) return code;
    const [scalars = '', vectors = ''] = code
      .replace('@builtin(subgroup_size) lanes: u32,', '')
      .replaceAll('thread.lanes', `${lanes}u`)
      .split('fn teamSum4');
    return `${scalars.replaceAll(/subgroupShuffleXor\((\w+), step\)/g, 'exchanged(vec4f($1), step, thread.index).x')}
      fn teamSum4${vectors.replaceAll(/subgroupShuffleXor\((\w+), step\)/g, 'exchanged($1, step, thread.index)')}
      var<workgroup> exchange: array<vec4f, 256>;
      fn exchanged(mine: vec4f, step: u32, index: u32) -> vec4f {
        workgroupBarrier();
        exchange[index] = mine;
        workgroupBarrier();
        return exchange[index ^ step];
      }`;
  },
});

/**
 * Subgroup matrices [m, k] and [k, n] that stay in workgroup memory, and [m, n] of which each of a subgroup's `lanes`
 * threads has some elements.
 */
export function matricesOf(
  [M, N, K]: readonly [number, number, number],
  lanes: number,
  sign: '+' | '-' = '+',
): Emulation {
  const config = { componentType: 'f16', resultComponentType: 'f32', M, N, K };
  const emulation = `
    const lanes = ${lanes}u;
    const EACH = MATRIX_M * MATRIX_N / lanes;
    var<private> lane: u32;
    struct Left { start: u32, stride: u32 }
    struct Right { start: u32, stride: u32 }
    struct Result { e: array<f32, EACH> }
    fn multiplyAdd(left: Left, right: Right, before: Result) -> Result {
      var m = before;
      for (var i = 0u; i < EACH; i++) {
        let row = (i * lanes + lane) / MATRIX_N;
        let column = (i * lanes + lane) % MATRIX_N;
        for (var k = 0u; k < MATRIX_K; k++) {
          let x = aHalves[left.start + row * left.stride + k];
          m.e[i] ${sign}= x * bHalves[right.start + k * right.stride + column];
        }
      }
      return m;
    }
    fn storeResult(start: u32, m: Result, stride: u32) {
      for (var i = 0u; i < EACH; i++) {
        products[start + (i * lanes + lane) / MATRIX_N * stride + (i * lanes + lane) % MATRIX_N] = m.e[i];
      }
    }`;
  return {
    features: ['shader-f16', 'chromium-experimental-subgroup-matrix'],
    info: { subgroupMinSize: 4, subgroupMaxSize: 16, subgroupMatrixConfigs: new Set([config]) },
    rewrite: (code) => {
      if (!code.includes('subgroupMatrixLoad')) return halves.rewrite(code);
      const text = code
        .replaceAll(
          /enable f16;|enable chromium_experimental_subgroup_matrix;|diagnostic\(off, chromium.*;/g,
          '',
        )
        .replaceAll(/alias (Left|Right|Result) = .*;/g, '')
        .replaceAll('array<f16,', 'array<f32,')
        .replaceAll(' f16(', ' quantizeToF16(')
        .replace('@builtin(subgroup_size) lanes: u32,', '')
        .replace('let strip =', 'lane = thread % lanes;\n  let strip =')
        .replaceAll(/subgroupMatrixLoad<(\w+), row_major>\(&\w+, /g, '$1(')
        .replaceAll('subgroupMatrixMultiplyAccumulate', 'multiplyAdd')
        .replaceAll('subgroupMatrixStore<row_major>(&products, ', 'storeResult(');
      return `${text}\n${emulation}`;
    },
  };
}
