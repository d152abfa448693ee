import { missingDpoData } from './dpoData.ts';
import type { Peer } from './peers/packages.ts';
import { PEERS, isInstalled, versionOf } from './peers/packages.ts';
import type { Python } from './python.ts';
import { findPython } from './python.ts';
import type { Runtime } from './runtimes.ts';
import { findRuntimes } from './runtimes.ts';

/** All that takes part in a full run. */
export interface Contenders {
  /** Every Node; the first runs the bench. */
  readonly node: readonly Runtime[];
  /** Deno, Bun and Chromium, for prefgrad alone. */
  readonly others: readonly Runtime[];
  /** Installed libraries of bench/peers. */
  readonly peers: readonly Peer[];
  readonly python: Python | undefined;
  /** Whether the model and the pairs of the end-to-end run are there. */
  readonly dpo: boolean;
  /** What is left out, each with what brings it. */
  readonly missing: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
}

export function findContenders(): Contenders {
  const { node, others, missing } = findRuntimes();
  const all = Object.keys(PEERS) as Peer[];
  const peers = all.filter(isInstalled);
  const python = findPython();
  const noData = missingDpoData();
  const packages = ['benchmark', 'gpu.js', ...peers.flatMap((peer) => PEERS[peer])];
  const absent = all.filter((peer) => !peers.includes(peer));
  return {
    ...{ node, others, peers, dpo: noData === undefined },
    python: typeof python === 'string' ? undefined : python,
    missing: [
      ...missing,
      ...(absent.length > 0 ? [`${absent.join(', ')}: npm ci --prefix bench/peers`] : []),
      ...(typeof python === 'string' ? [python] : missingOf(python)),
      ...(noData === undefined ? [] : [`DPO end to end: ${noData}`]),
    ],
    versions: {
      ...Object.fromEntries(packages.map((name) => [name, versionOf(name) ?? ''])),
      ...(typeof python === 'string' ? {} : python.versions),
    },
  };
}

const missingOf = ({ command, versions, bf16 }: Python): string[] => {
  const absent = ['transformers', 'trl', 'peft'].filter((name) => versions[name] === undefined);
  return [
    ...(absent.length > 0
      ? [`${absent.join(', ')}: ${command} has none; ${command} -m pip install ${absent.join(' ')}`]
      : []),
    ...(bf16 || versions['trl'] === undefined
      ? []
      : ["TRL's bf16: PyTorch has no fast products of bf16 on this CPU (they need AVX-512)"]),
  ];
};
