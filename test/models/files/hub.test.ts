import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PrefgradError } from '../../../engine/errors.ts';
import { parseHubReference } from '../../../models/files/hubReference.ts';
import { openModelFiles } from '../../../models/files/open.ts';
import { writeSafetensors } from '../../../models/files/safetensorsWriter.ts';
import { memorySink } from '../../../models/files/source.ts';

const commit = '0123456789abcdef0123456789abcdef01234567';

interface Served {
  readonly url: string;
  readonly range: string | undefined;
}

describe('a model on the hub', () => {
  let home = '';
  let served: Served[] = [];
  let files: Record<string, Buffer> = {};
  /** The next answers with a body stop after so many bytes, the connection cut. */
  let cuts: number[] = [];
  let etag = '"one"';
  let stop = async () => {};

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '';
    const { range, 'if-range': ifRange } = request.headers;
    served.push({ url, range });
    const body = files[url.split('/').at(-1) ?? ''];
    if (!url.startsWith('/owner/tiny/resolve/') || body === undefined) {
      response.writeHead(404).end('no such file');
      return;
    }
    const start = range !== undefined && ifRange === etag ? Number(/bytes=(\d+)-/.exec(range)?.[1]) : 0;
    response.writeHead(start > 0 ? 206 : 200, {
      etag,
      'x-repo-commit': commit,
      'content-length': body.length - start,
      ...(start > 0 && { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
    });
    const cut = cuts.shift();
    if (cut === undefined) response.end(body.subarray(start));
    else response.write(body.subarray(start, start + cut), () => setTimeout(() => response.destroy(), 20));
  }

  const values = Float32Array.from({ length: 100_000 }, (_, i) => i / 7);

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'prefgrad-hub-'));
    const sink = memorySink();
    await writeSafetensors(sink, [
      { name: 'w', shape: [values.length], dtype: 'F32', data: async () => values },
    ]);
    files = {
      'config.json': Buffer.from('{"model_type": "llama"}'),
      'model.safetensors': Buffer.from(sink.bytes()),
    };
    served = [];
    cuts = [];
    etag = '"one"';
    const server = createServer(answer).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${port}/`);
    vi.stubEnv('HF_HOME', home);
    stop = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
  });
  afterEach(async () => {
    await stop();
    vi.unstubAllEnvs();
    await rm(home, { recursive: true });
  });

  const expectWhole = (read: Float32Array) =>
    expect(Buffer.from(read.buffer).equals(Buffer.from(values.buffer))).toBe(true);

  it('is downloaded once, all of one commit, and then opened without the network', async () => {
    const received: Record<string, number | undefined> = {};
    const model = await openModelFiles('owner/tiny', {
      onProgress: (progress) => {
        received[progress.file] = progress.received;
        expect(progress.total).toBe(files[progress.file].length);
      },
    });
    expectWhole(await model.read('w'));
    await model.close();
    expect(received['model.safetensors']).toBe(files['model.safetensors'].length);
    expect(served[0].url).toBe('/owner/tiny/resolve/main/config.json');
    expect(served.slice(1).every(({ url }) => url.startsWith(`/owner/tiny/resolve/${commit}/`))).toBe(true);
    expect(served.map(({ url }) => url.split('/').at(-1))).toEqual([
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'model.safetensors',
    ]);

    await stop();
    stop = async () => {};
    const again = await openModelFiles('owner/tiny');
    expectWhole(await again.read('w'));
    await again.close();
    expect(await readdir(join(home, 'prefgrad'))).toEqual(['owner--tiny']);
  });

  it('goes on where a cut connection stopped', async () => {
    cuts = [1_000_000, 5, 200_000, 50_000]; // config.json fits into the first; its rest is cut
    const model = await openModelFiles('owner/tiny@v1');
    expectWhole(await model.read('w'));
    await model.close();
    expect(served[0].url).toBe('/owner/tiny/resolve/v1/config.json');
    const starts = served.filter(({ url }) => url.endsWith('model.safetensors')).map(({ range }) => range);
    expect(starts[0]).toBeUndefined();
    expect(starts.length).toBeGreaterThan(2);
    expect(starts.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);
    expect(
      (await readdir(join(home, 'prefgrad/owner--tiny/v1'))).filter((file) => /part|etag/.test(file)),
    ).toEqual([]);
  });

  it('goes on after the process was ended, and starts again if the file has changed', async () => {
    const folder = join(home, 'prefgrad/owner--tiny/main');
    await mkdir(folder, { recursive: true });
    const whole = files['model.safetensors'];
    await writeFile(join(folder, 'model.safetensors.part'), whole.subarray(0, 1234));
    await writeFile(join(folder, 'model.safetensors.etag'), '"one"');
    const model = await openModelFiles('owner/tiny');
    expectWhole(await model.read('w'));
    await model.close();
    expect(served.find(({ url }) => url.endsWith('model.safetensors'))?.range).toBe('bytes=1234-');

    await rm(join(folder, 'model.safetensors'));
    await writeFile(join(folder, 'model.safetensors.part'), Buffer.alloc(1234, 1));
    await writeFile(join(folder, 'model.safetensors.etag'), '"one"');
    etag = '"two"';
    const changed = await openModelFiles('owner/tiny');
    expectWhole(await changed.read('w'));
    await changed.close();
    expect((await readFile(join(folder, 'model.safetensors'))).equals(whole)).toBe(true);
  });

  it('gives up in one sentence, keeping what came', async () => {
    cuts = [1_000_000, 300_000];
    const model = openModelFiles('owner/tiny', {
      onProgress: ({ file, received }) => {
        if (file === 'model.safetensors' && received >= 100_000) void stop();
      },
    });
    await expect(model).rejects.toThrow(
      /the download failed \(.*\); check the connection and run the command again/,
    );
    stop = async () => {};
    expect(
      (await readFile(join(home, 'prefgrad/owner--tiny/main/model.safetensors.part'))).length,
    ).toBeGreaterThan(0);
  });

  it('that is not there is an error that says so', async () => {
    await expect(openModelFiles('owner/absent')).rejects.toThrow(
      /has no such model.*there is no folder owner\/absent here, so it was taken for a hub id/,
    );
    await expect(openModelFiles('owner/absent')).rejects.toBeInstanceOf(PrefgradError);
    await expect(openModelFiles('./no/such/folder')).rejects.toThrow(/there is no such folder or file/);
    await expect(openModelFiles('model.bin')).rejects.toThrow(/there is no such folder or file/);
    await expect(openModelFiles(import.meta.filename)).rejects.toThrow(/not a \.gguf one/);
  });

  it('is recognised by its shape', () => {
    expect(parseHubReference('owner/name')).toEqual({ id: 'owner/name', revision: 'main' });
    expect(parseHubReference('o-1/n_2.5@refs/pr/3')).toEqual({ id: 'o-1/n_2.5', revision: 'refs/pr/3' });
    for (const other of ['name', '/a/b', './a/b', 'a/b/c', 'a/..', '../a', 'a b/c', 'a/b@', 'a/b@../c', '']) {
      expect(parseHubReference(other)).toBeUndefined();
    }
  });
});
