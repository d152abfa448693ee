import { canShare, coreCount } from './wasm/features.ts';
import { WasmDevice } from './wasm/device.ts';

export interface DeviceStatus {
  readonly name: 'webgpu' | 'wasm' | 'reference';
  readonly available: boolean;
  readonly detail: string;
  /** Whether `auto` takes it. */
  readonly auto: boolean;
}

/** What can compute here, and what `auto` takes. */
export async function describeDevices(): Promise<DeviceStatus[]> {
  return [
    { name: 'webgpu', available: false, detail: 'not built yet in prefgrad 0.1', auto: false },
    await wasmStatus(),
    {
      name: 'reference',
      available: true,
      detail: 'plain loops in float64, slow; for checking results',
      auto: false,
    },
  ];
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
      detail: `${device.simd} SIMD, ${limits}, up to 4 GiB`,
      auto: true,
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
