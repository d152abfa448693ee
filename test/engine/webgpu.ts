import { WebGpuDevice } from '../../engine/webgpu/device.ts';
import { requestAdapter } from '../../engine/webgpu/gpu.ts';

const adapter = await requestAdapter();

/** Why the tests on WebGPU are left out, or '' where they run. */
export const noWebGpu = typeof adapter === 'string' ? `(skipped: no WebGPU adapter; ${adapter})` : '';

export const openWebGpu = (): Promise<WebGpuDevice> => WebGpuDevice.create();
