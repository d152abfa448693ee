import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import {
  findCheckpoints,
  latestCheckpoint,
  openCheckpoint,
  recoverCheckpoints,
  writeCheckpoint,
  type CheckpointFile,
} from '../../trainer/checkpoint.node.ts';
import { findDamage } from '../../trainer/checkpointManifest.node.ts';

let root = '';
let folder = '';
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'prefgrad-checkpoint-'));
});
beforeEach(() => {
  folder = join(root, String(count++));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function file(name: string, text: string): CheckpointFile {
  return { name, write: (sink) => sink.write(new TextEncoder().encode(text)) };
}
const files = (tag: string) => [
  file('model.safetensors', `model ${tag}`),
  file('state.json', `{"tag": "${tag}"}`),
];
const names = async () => (await readdir(folder)).toSorted();
const systemError = (code: string) =>
  Object.assign(new Error(`${code}: no space left on device, write`), { code });

describe('writeCheckpoint', () => {
  it('writes files and a manifest with their sizes and sha-256', async () => {
    const checkpoint = await writeCheckpoint(folder, 20, files('a'));
    expect(checkpoint).toMatchObject({ path: join(folder, 'checkpoint-20'), step: 20, sequence: 1 });
    expect(await readFile(join(checkpoint.path, 'model.safetensors'), 'utf8')).toBe('model a');
    expect(await names()).toEqual(['checkpoint-20']);
    expect(checkpoint.manifest.files['model.safetensors']).toEqual({
      bytes: 7,
      sha256: createHash('sha256').update('model a').digest('hex'),
    });
    expect(await findDamage(checkpoint)).toBeUndefined();
    expect(await latestCheckpoint(folder)).toEqual(checkpoint);
  });

  it('takes views of shared memory, in chunks of any size', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(300_000)).fill(7);
    const write: CheckpointFile['write'] = async (sink) => {
      for (let at = 0; at < shared.length; at += 70_001) await sink.write(shared.subarray(at, at + 70_001));
    };
    const { path } = await writeCheckpoint(folder, 1, [
      { name: 'a.bin', write },
      { name: 'empty', async write() {} },
    ]);
    const read = await readFile(join(path, 'a.bin'));
    expect([read.length, read.every((byte) => byte === 7)]).toEqual([300_000, true]);
    expect((await stat(join(path, 'empty'))).size).toBe(0);
  });

  it('keeps the last saveTotalLimit by the order of writing, never fewer than the one just written', async () => {
    for (const step of [100, 200, 300])
      await writeCheckpoint(folder, step, files('old'), { saveTotalLimit: 2 });
    expect(await names()).toEqual(['checkpoint-200', 'checkpoint-300']);
    await writeCheckpoint(folder, 10, files('of a new run'), { saveTotalLimit: 2 });
    expect(await names()).toEqual(['checkpoint-10', 'checkpoint-300']);
    expect((await latestCheckpoint(folder))?.step).toBe(10);
    await writeCheckpoint(folder, 20, files('of a new run'), { saveTotalLimit: 0 });
    expect(await names()).toEqual(['checkpoint-20']);
  });

  it('keeps the best beside them, whose place it takes where there is one', async () => {
    const write = (step: number, saveTotalLimit: number, best: number) =>
      writeCheckpoint(folder, step, files('a'), { saveTotalLimit, best });
    await write(1, 1, 1);
    await write(2, 1, 1);
    await write(3, 1, 1);
    expect(await names()).toEqual(['checkpoint-1', 'checkpoint-3']);
    for (const step of [4, 5, 6]) await write(step, 3, 1);
    expect(await names()).toEqual(['checkpoint-1', 'checkpoint-5', 'checkpoint-6']);
    await write(7, 1, 7);
    expect(await names()).toEqual(['checkpoint-7']);
  });

  it('leaves folders alone that are not its own', async () => {
    await mkdir(join(folder, 'checkpoint-5'), { recursive: true });
    await mkdir(join(folder, 'checkpoint-best'));
    await writeCheckpoint(folder, 6, files('a'), { saveTotalLimit: 1 });
    await writeCheckpoint(folder, 7, files('a'), { saveTotalLimit: 1 });
    expect(await names()).toEqual(['checkpoint-5', 'checkpoint-7', 'checkpoint-best']);
  });

  it('replaces a checkpoint of the same step', async () => {
    await writeCheckpoint(folder, 3, files('first'));
    const second = await writeCheckpoint(folder, 3, files('second'));
    expect(await names()).toEqual(['checkpoint-3']);
    expect(await readFile(join(second.path, 'model.safetensors'), 'utf8')).toBe('model second');
    expect(second.sequence).toBe(2);
  });

  it('says what to do where the disk is full, removes its half, and leaves the one before whole', async () => {
    await writeCheckpoint(folder, 1, files('a'), { saveTotalLimit: 1 });
    const failing: CheckpointFile = {
      name: 'optimizer.safetensors',
      async write(sink) {
        await sink.write(new Uint8Array(1000));
        throw systemError('ENOSPC');
      },
    };
    for (const step of [1, 2]) {
      const attempt = writeCheckpoint(folder, step, [...files('b'), failing], { saveTotalLimit: 1 });
      await expect(attempt).rejects.toThrow(PrefgradError);
      await expect(attempt).rejects.toThrow(
        `${join(folder, `checkpoint-${step}`)} could not be written (the disk is full); ` +
          `${join(folder, 'checkpoint-1')} is whole: free some space and go on with resume_from_checkpoint=${join(folder, 'checkpoint-1')}`,
      );
    }
    expect(await names()).toEqual(['checkpoint-1']);
    expect((await openCheckpoint(folder, true)).step).toBe(1);
    expect(await readFile(join(folder, 'checkpoint-1/model.safetensors'), 'utf8')).toBe('model a');
  });

  it('passes on an error that is not the disk’s, and tidies up', async () => {
    const broken = { name: 'x', write: () => Promise.reject(new TypeError('a bug')) };
    await expect(writeCheckpoint(folder, 1, [broken])).rejects.toThrow(new TypeError('a bug'));
    await expect(writeCheckpoint(folder, 1, [file('../x', '')])).rejects.toThrow('no usable name');
    await expect(writeCheckpoint(folder, 1, [file('x', ''), file('x', '')])).rejects.toThrow(
      'no usable name',
    );
    expect(await names()).toEqual([]);
  });

  it('says so where the output folder cannot be made', async () => {
    await writeFile(folder, 'a file where the folder should be');
    await expect(writeCheckpoint(folder, 1, files('a'))).rejects.toThrow(/ENOTDIR|EEXIST/);
  });
});

describe('openCheckpoint', () => {
  const damage = async (path: string, change: (bytes: Buffer) => Buffer) =>
    writeFile(path, change(await readFile(path)));

  it('names the damaged file and the newest whole checkpoint before it', async () => {
    for (const step of [10, 20, 30]) await writeCheckpoint(folder, step, files(String(step)));
    const at = (path: string) => join(folder, path);
    await damage(at('checkpoint-30/model.safetensors'), (bytes) => {
      bytes[3] ^= 1;
      return bytes;
    });
    await expect(openCheckpoint(folder, true)).rejects.toThrow(
      `${at('checkpoint-30/model.safetensors')} is damaged: its bytes have another sha-256 than its manifest says; ` +
        `the newest whole checkpoint before it is ${at('checkpoint-20')}: resume_from_checkpoint=${at('checkpoint-20')}`,
    );
    await damage(at('checkpoint-20/state.json'), (bytes) => bytes.subarray(1));
    await expect(openCheckpoint(folder, at('checkpoint-20'))).rejects.toThrow(
      /state\.json is damaged: its manifest says 13 bytes, the file has 12; .* is .*checkpoint-10: resume/,
    );
    await rm(at('checkpoint-10/state.json'));
    await expect(openCheckpoint(folder, true)).rejects.toThrow('there is no whole checkpoint before it');
    await expect(openCheckpoint(folder, at('checkpoint-10'))).rejects.toThrow('state.json is missing');
  });

  it('says what is wrong with a path that is none', async () => {
    await expect(openCheckpoint(folder, true)).rejects.toThrow('has no whole checkpoint; start without it');
    await writeCheckpoint(folder, 4, files('a'));
    await expect(openCheckpoint(folder, join(folder, 'checkpoint-5'))).rejects.toThrow(
      /checkpoint-5 is no whole checkpoint \(ENOENT.*; the newest whole one beside it is .*checkpoint-4$/,
    );
    await writeFile(join(folder, 'checkpoint-4/manifest.json'), '{"format": "prefgrad-checkpoint"');
    await expect(openCheckpoint(folder, join(folder, 'checkpoint-4'))).rejects.toThrow(
      'is no whole checkpoint',
    );
    await writeFile(
      join(folder, 'checkpoint-4/manifest.json'),
      '{"format": "prefgrad-checkpoint", "files": {}}',
    );
    await expect(openCheckpoint(folder, join(folder, 'checkpoint-4'))).rejects.toThrow(
      "not a checkpoint's manifest",
    );
  });
});

describe('recoverCheckpoints', () => {
  it('removes halves and puts back what was being replaced', async () => {
    await recoverCheckpoints(folder); // there is no such folder yet
    for (const step of [1, 2, 3]) await writeCheckpoint(folder, step, files(String(step)));
    await mkdir(join(folder, 'checkpoint-4.partial'));
    await rename(join(folder, 'checkpoint-3'), join(folder, 'checkpoint-3.replaced'));
    await mkdir(join(folder, 'checkpoint-2.replaced'));
    await mkdir(join(folder, 'notes.partial'));
    await recoverCheckpoints(folder);
    expect(await names()).toEqual(['checkpoint-1', 'checkpoint-2', 'checkpoint-3', 'notes.partial']);
    expect((await openCheckpoint(folder, true)).step).toBe(3);
  });

  it('refuses a folder with another program’s checkpoints before any work is done', async () => {
    await mkdir(join(folder, 'checkpoint-500'), { recursive: true });
    await expect(recoverCheckpoints(folder)).rejects.toThrow(
      `${join(folder, 'checkpoint-500')} is not a whole checkpoint of prefgrad (its manifest.json is missing or damaged); ` +
        'move it away or choose another output_dir',
    );
  });
});

describe('a process that dies', () => {
  let program = '';
  beforeAll(async () => {
    program = join(root, 'writer.mjs');
    const entry = join(import.meta.dirname, 'checkpointWriter.ts');
    await build({
      entryPoints: [entry],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
    });
  });

  /** Starts the writer, kills it `delay` ms after its first checkpoint; the highest sequence number it announced. */
  async function killAfter(delay: number, steps: number, limit: number): Promise<number> {
    const child = spawn(process.execPath, [program, folder, String(steps), '150000', String(limit)]);
    let said = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (data: Buffer) => {
        if (said === '') setTimeout(() => child.kill('SIGKILL'), delay);
        said += data.toString();
      });
      child.on('close', () => resolve());
    });
    expect(child.signalCode).toBe('SIGKILL');
    return Number(said.trim().split('\n').at(-1));
  }

  it('leaves a whole newest checkpoint, whenever kill -9 comes (fifty times)', async () => {
    let interrupted = 0;
    for (let i = 0; i < 50; i++) {
      const steps = i % 3 === 0 ? 1 : 5; // 1: the only checkpoint is replaced again and again
      const announced = await killAfter(40 * Math.random(), steps, 1 + (i % 2));
      interrupted += (await names()).some((name) => /\.(partial|replaced)$/.test(name)) ? 1 : 0;
      await recoverCheckpoints(folder);
      const left = await findCheckpoints(folder);
      expect(left.length).toBeGreaterThan(0);
      for (const checkpoint of left) expect(await findDamage(checkpoint)).toBeUndefined();
      expect(left.at(-1)?.sequence).toBeGreaterThanOrEqual(announced);
      expect((await names()).filter((name) => !/^checkpoint-\d+$/.test(name))).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(6); // else the kills came between writes and tested nothing
  });

  it.skipIf(process.platform === 'win32')(
    'reports a real write error (ulimit -f) and keeps the last whole one',
    async () => {
      const run = (bytes: number) =>
        spawnSync(
          'sh',
          ['-c', `ulimit -f 100; exec "$0" "$@"`, process.execPath, program, folder, '1', String(bytes), '1'],
          {
            encoding: 'utf8',
            timeout: 2000,
          },
        );
      await writeCheckpoint(folder, 7, files('a'));
      const { status, stderr } = run(500_000);
      expect(stderr).toContain('EFBIG');
      expect(stderr).toContain(`${join(folder, 'checkpoint-7')} is whole: free some space`);
      expect(status).toBe(1);
      expect(await names()).toEqual(['checkpoint-7']);
    },
  );
});
