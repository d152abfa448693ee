import type { SignalSource } from '../interrupt.ts';
import type { Terminal } from '../terminal.ts';

/** What a command has around it; tests give it their own. */
export interface Context {
  terminal: Terminal;
  signals: SignalSource;
  /** A clock in seconds. */
  now: () => number;
}

/** Options that say where a model runs. */
export interface DeviceOptions {
  device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  /** Undefined for as many as are of use. */
  threads?: number;
}
