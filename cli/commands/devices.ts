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
  /** Whether `--device auto` takes it, and why. */
  auto: boolean;
  reason?: string;
  /** Of a GPU's adapter, in bytes or numbers. */
  limits?: Readonly<Record<string, number>>;
  features?: readonly string[];
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
  context.terminal.stdout.write(options.json ? `${JSON.stringify(devices)}\n` : describe(devices));
  return 0;
}

/** A line for each device, the adapters' limits and features under theirs, and what `auto` takes. */
function describe(devices: readonly DeviceStatus[]): string {
  const rows = devices.flatMap(({ name, available, detail, limits = {}, features = [] }) => [
    [name, available ? 'available' : 'not available', detail],
    ...Object.entries(limits).map(([limit, value]) => ['', limit, value.toLocaleString('en')]),
    ...(features.length > 0 ? [['', 'features', features.join(', ')]] : []),
  ]);
  const chosen = devices.find((d) => d.auto);
  const choice = chosen ? `auto takes ${chosen.name}${chosen.reason ? `: ${chosen.reason}` : ''}\n` : '';
  return formatTable(rows) + choice;
}
