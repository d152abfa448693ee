import { WasmDevice } from './wasm/device.ts';
import { canShare, coreCount } from './wasm/features.ts';
import {
  FEATURES,
  LIMITS,
  adapterName,
  autoTakes,
  findGpu,
  isSoftware,
  requestAdapter,
} from './webgpu/gpu.ts';

export interface DeviceStatus {
  readonly name: 'webgpu' | 'wasm' | 'reference';
  readonly available: boolean;
  readonly detail: string;
  /** Whether `auto` takes it, and why. */
  readonly auto: boolean;
  readonly reason?: string;
  /** Of an adapter: those that matter here, in bytes or numbers. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Of an adapter: those that shaders here can use. */
  readonly features?: readonly string[];
}

/** What can compute here, and what `auto` takes. */
export async function describeDevices(): Promise<DeviceStatus[]> {
  const gpus = await webgpuStatuses();
  const wasm = await wasmStatus();
  const reason = gpus.some((gpu) => gpu.available)
    ? 'the adapter computes on the CPU, where WebAssembly is faster'
    : 'there is no GPU to use';
  return [
    ...gpus,
    { ...wasm, ...(wasm.available && !gpus.some((gpu) => gpu.auto) ? { auto: true, reason } : {}) },
    {
      name: 'reference',
      available: true,
      detail: 'plain loops in float64, slow; for checking results',
      auto: false,
    },
  ];
}

/** The adapters that the runtime offers: the fast one, which `auto` takes unless it is a software one, and a frugal one. */
async function webgpuStatuses(): Promise<DeviceStatus[]> {
  const adapter = await requestAdapter();
  if (typeof adapter === 'string')
    return [{ name: 'webgpu', available: false, detail: adapter, auto: false }];
  const frugal = await (await findGpu())?.requestAdapter({ powerPreference: 'low-power' });
  const others = frugal && adapterName(frugal) !== adapterName(adapter) ? [frugal] : [];
  return [adapter, ...others].map((one, i) => ({
    name: 'webgpu',
    available: true,
    detail: adapterName(one) + (isSoftware(one) ? '; a software adapter' : ''),
    ...(i === 0 && autoTakes(one) ? { auto: true, reason: 'a GPU is faster than the CPU' } : { auto: false }),
    limits: Object.fromEntries(LIMITS.map((name) => [name, one.limits[name]])),
    features: FEATURES.filter((name) => one.features.has(name)),
  }));
}

async function wasmStatus(): Promise<DeviceStatus> {
  try {
    const device = await WasmDevice.create({ threads: 1 });
    await device.dispose();
    const threads = canShare() ? coreCount() : 1;
    const limits = `${threads} thread${threads > 1 ? 's' : ''}${canShare() ? '' : ', memory cannot be shared here'}`;
    return {
      name: 'wasm',
      available: true,
      detail: `${device.simd} SIMD, ${device.tileRows}×8 tiles, ${limits}, up to 4 GiB`,
      auto: false,
    };
  } catch (error) {
    return {
      name: 'wasm',
      available: false,
      detail: error instanceof Error ? error.message : String(error),
      auto: false,
    };
  }
}
