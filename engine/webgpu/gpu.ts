import { PrefgradError } from '../errors.ts';
import type { Capabilities } from './capabilities.ts';

/** A GPU object that lives as long as the process: Dawn in Node ends its devices with it. */
let dawn: Promise<GPU | undefined> | undefined;

/** Why the package `webgpu`, which is installed, could not be loaded. */
let broken: string | undefined;

/** The runtime's WebGPU: the browser's or Deno's own, or in Node and Bun Dawn from the optional package `webgpu`. */
export async function findGpu(): Promise<GPU | undefined> {
  const own = (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu;
  if (own) return own;
  const runtime = globalThis as { process?: { versions?: { node?: string } } };
  if (!runtime.process?.versions?.node) return undefined;
  return (dawn ??= loadDawn(DAWN_FLAGS));
}

/**
 * Workgroup memory is zeroed by a loop in the shader instead of by an extension of Vulkan, with which software adapters
 * take ten times as long to compile. Unsafe APIs are what browsers hide behind a flag: subgroup matrices.
 */
export const DAWN_FLAGS: readonly string[] = [
  'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  'enable-dawn-features=allow_unsafe_apis',
];

/** Dawn of the optional package `webgpu`; undefined where that is not installed or broken. Whoever asks keeps it alive. */
export async function loadDawn(flags: readonly string[]): Promise<GPU | undefined> {
  try {
    const name = 'webgpu';
    const dawnNode = (await import(/* @vite-ignore */ name)) as { create(flags: readonly string[]): GPU };
    return dawnNode.create(flags);
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    // Vite gives no code.
    const absent = code === 'ERR_MODULE_NOT_FOUND' || /^could not resolve/i.test(message ?? '');
    if (!absent) broken = (message ?? String(error)).split('\n')[0];
    return undefined;
  }
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|warp/i;

/** Whether an adapter computes on the CPU, where WebAssembly is faster. */
export function isSoftware({ info }: GPUAdapter): boolean {
  return (
    info.isFallbackAdapter ||
    SOFTWARE.test([info.vendor, info.architecture, info.device, info.description].join(' '))
  );
}

/** Whether `auto` takes what requestAdapter found: an adapter that does not compute on the CPU. */
export const autoTakes = (adapter: GPUAdapter | string): boolean =>
  typeof adapter !== 'string' && !isSoftware(adapter);

/** An adapter's name for people. */
export function adapterName({ info }: GPUAdapter): string {
  const parts = [info.description || info.device, info.vendor, info.architecture].filter(
    (part) => part !== '',
  );
  return [...new Set(parts)].join(', ') || 'unnamed adapter';
}

/** The best adapter here, or why there is none. */
export async function requestAdapter(gpu?: GPU): Promise<GPUAdapter | string> {
  const found = gpu ?? (await findGpu());
  if (!found)
    return broken === undefined
      ? 'this runtime has no WebGPU; in Node and Bun, `npm install webgpu` brings it, and browsers need a secure page'
      : `the package webgpu cannot be loaded: ${broken}`;
  const adapter = await found.requestAdapter({ powerPreference: 'high-performance' });
  return (
    adapter ??
    'WebGPU is here but finds no adapter; is a graphics driver with Vulkan, Metal or D3D12 installed?'
  );
}

/** Features that some shaders use where an adapter has them. */
export const FEATURES = [
  'subgroups',
  'shader-f16',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
] as const;

/** Limits that decide what fits and how it is tiled. */
export const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** Of the features, those that shaders for these capabilities need. */
function featuresFor({ subgroups, products }: Capabilities): ReadonlySet<string> {
  const matrices = typeof products !== 'string';
  return new Set([
    'timestamp-query',
    ...(subgroups !== undefined || matrices ? ['subgroups'] : []),
    ...(products !== 'f32' ? ['shader-f16'] : []),
    ...(matrices ? ['chromium-experimental-subgroup-matrix'] : []),
  ]);
}

/** A device with the adapter's own limits, since the defaults are those of the weakest GPU. */
export async function requestDevice(adapter: GPUAdapter, capabilities: Capabilities): Promise<GPUDevice> {
  const { limits } = adapter;
  const needed = featuresFor(capabilities);
  try {
    return await adapter.requestDevice({
      label: 'prefgrad',
      requiredFeatures: FEATURES.filter(
        (name) => needed.has(name) && adapter.features.has(name),
      ) as GPUFeatureName[],
      requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    });
  } catch (error) {
    throw new PrefgradError(
      `${adapterName(adapter)} gives no device: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
