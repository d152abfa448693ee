import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../../engine/errors.ts';
import { blobSource, memorySource, readText, type FileSource } from '../../../models/files/source.ts';
import { openFileSink, openFileSource } from '../../../models/files/source.node.ts';

const content = new TextEncoder().encode('twelve bytes');
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prefgrad-source-'));
  const sink = await openFileSink(join(folder, 'file'));
  await sink.write(content.subarray(0, 5));
  await sink.write(content.subarray(5));
  await sink.close();
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const kinds: [string, () => FileSource | Promise<FileSource>][] = [
  ['on disk', () => openFileSource(join(folder, 'file'))],
  ['in memory', () => memorySource('file', content)],
  ['in a Blob', () => blobSource('file', new Blob([content]))],
];

describe.each(kinds)('a file %s', (_, open) => {
  it('gives any range as bytes of its own', async () => {
    const source = await open();
    expect(source.size).toBe(12);
    const bytes = await source.read(7, 5);
    expect(new TextDecoder().decode(bytes)).toBe('bytes');
    expect([bytes.byteOffset, bytes.buffer.byteLength]).toEqual([0, 5]);
    bytes.fill(0);
    expect(await readText(source)).toBe('twelve bytes');
    expect((await source.read(12, 0)).length).toBe(0);
    await source.close();
  });

  it('refuses what is not in it, by name', async () => {
    const source = await open();
    for (const [offset, length] of [
      [8, 5],
      [13, 0],
      [-1, 2],
      [0, 1e15],
      [0, -1],
      [0.5, 1],
      [NaN, 1],
    ] as const) {
      const failure: unknown = await source.read(offset, length).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PrefgradError);
      expect(String(failure)).toMatch(
        /file: the file is truncated or damaged: bytes .* needed, but it has 12/,
      );
    }
    await source.close();
  });
});

it('what cannot be opened or written is said by name', async () => {
  await expect(openFileSource(join(folder, 'absent'))).rejects.toThrow(/absent: cannot be opened \(ENOENT\)/);
  await expect(openFileSource(folder)).rejects.toThrow(/is not a file/);
  await expect(openFileSink(join(folder, 'absent/file'))).rejects.toThrow(/cannot be written \(ENOENT\)/);
  await expect(readText(memorySource('t.json', Uint8Array.of(0xff)))).rejects.toThrow(
    /t\.json: expected UTF-8/,
  );
});
