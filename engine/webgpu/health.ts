import { DeviceLostError, PrefgradError } from '../errors.ts';

/** What has gone wrong with a GPU device: WebGPU tells it by events, after the calls that caused it. */
export class Health {
  #failure: string | undefined;
  #lost: string | undefined;
  #disposed = false;

  constructor(
    device: GPUDevice,
    private readonly description: string,
  ) {
    device.addEventListener('uncapturederror', (event) => (this.#failure ??= event.error.message));
    void this.#watch(device.lost);
  }

  async #watch(lost: Promise<GPUDeviceLostInfo>): Promise<void> {
    const { reason, message } = await lost;
    const why = [reason, message].filter((part) => part).join(': ');
    this.#lost = `the GPU device was lost (${why}), and with it what was not saved`;
  }

  dispose(): void {
    this.#disposed = true;
  }

  /** Throws what has been told so far. */
  check(): void {
    if (this.#disposed) throw new PrefgradError(`${this.description}: the device was disposed`);
    if (this.#lost !== undefined) throw new DeviceLostError(`${this.description}: ${this.#lost}`);
    if (this.#failure !== undefined) throw new PrefgradError(`${this.description}: ${this.#failure}`);
  }

  /** For an error without a reason: throws the reason, which is told shortly after, or else the error itself. */
  async explain(error: unknown): Promise<never> {
    await new Promise((resolve) => setTimeout(resolve, 10));
    this.check();
    throw error;
  }
}
