import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The libraries that live in bench/peers, which has a package.json of its own. */
export const PEERS = {
  'jax-js': ['@jax-js/jax'],
  tfjs: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
  onnxruntime: ['onnxruntime-web'],
} as const;
export type Peer = keyof typeof PEERS;

const folder = resolve('bench', 'peers');

/** The version of an installed package, here or in the root's dependencies. */
export function versionOf(name: string): string | undefined {
  const path = [folder, resolve()]
    .map((at) => join(at, 'node_modules', name, 'package.json'))
    .find(existsSync);
  if (path === undefined) return undefined;
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}

export const isInstalled = (peer: Peer): boolean =>
  PEERS[peer].every((name) => versionOf(name) !== undefined);

/** Imports a package of bench/peers as the part of it that is used here. Errors: it is not installed. */
export async function load<Used>(name: string): Promise<Used> {
  if (versionOf(name) === undefined)
    throw new Error(`${name} is not installed; npm ci --prefix bench/peers brings it`);
  const path = createRequire(join(folder, 'package.json')).resolve(name);
  const module = (await import(pathToFileURL(path).href)) as { default?: Used };
  return (module.default ?? module) as Used;
}
