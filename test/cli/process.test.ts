import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleCli } from './bundledCli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-process-'));
const program = join(folder, 'program.mjs');
const config = join(folder, 'config.yaml');
beforeAll(async () => {
  writeFileSync(config, 'model: m\ndata: pairs.jsonl\nmethod: dpo\nmax_steps: 10\n');
  await bundleCli(program, 'fakeProgram.ts');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  signal: string | null;
  out: string;
  err: string;
}

/** Runs the program; `act` gets it once it has written something. */
function run(argv: string[], act: (child: ReturnType<typeof spawn>) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: 'pipe' });
  const said = { out: '', err: '' };
  const hear = (where: 'out' | 'err') => (data: Buffer) => {
    if (said.out + said.err === '') act(child);
    said[where] += data.toString();
  };
  child.stdout.on('data', hear('out'));
  child.stderr.on('data', hear('err'));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...said })));
}

describe.skipIf(process.platform === 'win32')('the process', () => {
  it('exits 0 when the work is done, 2 for a bad command line', async () => {
    expect(await run(['devices'])).toEqual({
      code: 0,
      signal: null,
      out: 'wasm  available\nauto takes wasm\n',
      err: '',
    });
    expect((await run(['train', config])).code).toBe(0);
    expect(await run(['devises'])).toMatchObject({ code: 2, out: '' });
  });

  it('stops at Ctrl-C with 130, at SIGTERM with 143', async () => {
    const argv = ['train', config, 'max_steps=100000'];
    const stopped = await run(argv, (child) => child.kill('SIGINT'));
    expect([stopped.code, stopped.signal]).toEqual([130, null]);
    expect(stopped.err).toContain('Ctrl-C again to leave at once');
    expect(stopped.out).toMatch(/^stopped after \d+ of 120 steps/);
    expect((await run(argv, (child) => child.kill('SIGTERM'))).code).toBe(143);
  });

  it('leaves at once at the second Ctrl-C', async () => {
    const began = performance.now();
    const { code } = await run(['train', config, 'max_steps=100000', 'output_dir=slow'], (child) => {
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGINT'), 100);
    });
    expect(code).toBe(130);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('ends quietly when the reader of its results has gone', async () => {
    const { code, err } = await run(['generate', '--model', 'm', '--prompt', 'p'], (child) =>
      child.stdout?.destroy(),
    );
    expect([code, err]).toEqual([141, '']);
  });

  it('trains on when the reader of its progress has gone', async () => {
    const { code, out } = await run(['train', config, 'max_steps=50'], (child) => child.stderr?.destroy());
    expect([code, out]).toEqual([0, 'trained 50 of 120 steps in 0:01\n']);
  });

  it('reports what is thrown or rejected where nobody waits', async () => {
    const score = await run(['score', '--model', 'm', '--data', 'd', '--out', 'o']);
    expect(score).toMatchObject({ code: 1, out: '' });
    expect(score.err).toMatch(/this is a defect of prefgrad[\s\S]*TypeError: thrown where nobody waits/);
    const evaluate = await run(['evaluate', '--model', 'm', '--data', 'd']);
    expect(evaluate.code).toBe(1);
    expect(evaluate.err).toContain('RangeError: rejected where nobody waits');
  });
});
