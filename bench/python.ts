import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Runtime } from './runtimes.ts';

/** A Python that has PyTorch. */
export interface Python extends Runtime {
  /** Of torch, and of transformers, trl and peft where they are there. */
  readonly versions: Readonly<Record<string, string>>;
  /** Whether its products of bf16 use this CPU's vectors; they take minutes a pair where they do not. */
  readonly bf16: boolean;
}

const PACKAGES = ['torch', 'transformers', 'trl', 'peft'] as const;

const SCRIPT = `
import importlib.metadata as m, json, platform
found = {"python": platform.python_version()}
for name in ${JSON.stringify(PACKAGES)}:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
if "torch" in found:
    import torch
    try: found["bf16"] = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except AttributeError: pass
print(json.dumps(found))`;

/** $PREFGRAD_PYTHON, or python3 on the path; or why it cannot be measured. */
export function findPython(): Python | string {
  const given = process.env['PREFGRAD_PYTHON'];
  const command = given ?? 'python3';
  const cure = 'set PREFGRAD_PYTHON to a Python with torch, transformers, trl and peft';
  let versions: Record<string, string>;
  let bf16: boolean;
  try {
    const answer = execFileSync(command, ['-c', SCRIPT], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    ({ bf16 = false, ...versions } = JSON.parse(answer) as Record<string, string> & { bf16?: boolean });
  } catch {
    return `PyTorch and TRL: ${command} does not run; ${cure}`;
  }
  if (versions['torch'] === undefined) return `PyTorch and TRL: ${command} has no torch; ${cure}`;
  return {
    name: `Python ${versions['python']}`,
    command,
    // -B: no __pycache__ beside the sources.
    args: ['-B', join('bench', 'peers', 'main.py')],
    versions,
    bf16,
  };
}
