import type { Device } from './backend.ts';
import { PrefgradError } from './errors.ts';
import { ReferenceDevice } from './reference/device.ts';
import { WasmDevice } from './wasm/device.ts';

export interface DeviceChoice {
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  /** Threads of the WebAssembly backend; all cores by default. */
  readonly threads?: number | null | undefined;
}

/** Opens the device that is asked for; `auto` is WebAssembly. Errors say what is not available here, and why. */
export async function openDevice({ device, threads }: DeviceChoice): Promise<Device> {
  if (device === 'reference') return new ReferenceDevice();
  if (device === 'webgpu')
    throw new PrefgradError(
      'device webgpu is not available yet in prefgrad 0.1; use auto, wasm or reference',
    );
  return WasmDevice.create({ threads: threads ?? undefined });
}
