import { formatTable } from '../table.ts';
import type { Context } from './context.ts';

export interface DevicesOptions {
  json: boolean;
}

export interface DeviceStatus {
  /** What `--device` calls it. */
  name: string;
  available: boolean;
  /** The adapter, threads and SIMD; or why it is not available. */
  detail: string;
  /** Whether `--device auto` takes it. */
  auto: boolean;
}

export interface DevicesWork {
  devices(): Promise<DeviceStatus[]>;
}

export async function runDevices(
  options: DevicesOptions,
  context: Context,
  work: DevicesWork,
): Promise<number> {
  const devices = await work.devices();
  const rows = devices.map(({ name, available, detail, auto }) => [
    name,
    available ? 'available' : 'not available',
    detail + (auto ? ' (auto)' : ''),
  ]);
  context.terminal.stdout.write(options.json ? `${JSON.stringify(devices)}\n` : formatTable(rows));
  return 0;
}
