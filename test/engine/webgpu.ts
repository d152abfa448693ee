import { WebGpuDevice } from '../../engine/webgpu/device.ts';
import { findGpu, requestAdapter } from '../../engine/webgpu/gpu.ts';

const here = await requestAdapter();

/** Why the tests on WebGPU are left out, or '' where they run. */
export const noWebGpu = typeof here === 'string' ? `(skipped: no WebGPU adapter; ${here})` : '';

export const openWebGpu = (): Promise<WebGpuDevice> => WebGpuDevice.create();

/** The runtime's GPU, with every device that it gives listed: those on trial, then the one that is used. */
export async function watchedGpu(): Promise<{ gpu: GPU; devices: GPUDevice[] }> {
  const found = await findGpu();
  if (!found) throw new Error('there is no GPU');
  const devices: GPUDevice[] = [];
  const watched = async (options?: GPURequestAdapterOptions) => {
    const adapter = await found.requestAdapter(options);
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter?.requestDevice(descriptor);
      if (!device) throw new Error('there is no adapter');
      devices.push(device);
      return device;
    };
    return (
      adapter && { info: adapter.info, limits: adapter.limits, features: adapter.features, requestDevice }
    );
  };
  return { gpu: { requestAdapter: watched } as GPU, devices };
}
