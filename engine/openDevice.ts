import type { Device } from './backend.ts';
import { ReferenceDevice } from './reference/device.ts';
import type { WasmOptions } from './wasm/device.ts';
import { WasmDevice } from './wasm/device.ts';
import { WebGpuDevice } from './webgpu/device.ts';
import { autoTakes, requestAdapter } from './webgpu/gpu.ts';

export interface DeviceChoice {
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  /** Threads of the WebAssembly backend; all cores by default. */
  readonly threads?: number | null | undefined;
  /** Is told of each run of the WebAssembly backend. */
  readonly profile?: WasmOptions['profile'];
}

/**
 * Opens the device that is asked for; `auto` is WebGPU where there is an adapter that is no software one, and
 * WebAssembly else. Errors say what is not available here, and why.
 */
export async function openDevice({ device, threads, profile }: DeviceChoice): Promise<Device> {
  if (device === 'reference') return new ReferenceDevice();
  if (device === 'webgpu' || (device === 'auto' && autoTakes(await requestAdapter())))
    return WebGpuDevice.create();
  return WasmDevice.create({ threads: threads ?? undefined, profile });
}
