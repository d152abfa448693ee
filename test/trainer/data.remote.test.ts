import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { readdir, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findRows } from '../../trainer/data/find.node.ts';
import { readRows } from '../../trainer/data/read.node.ts';
import { folder } from './dataFiles.ts';

describe('data at an address', () => {
  const rows = Array.from({ length: 4000 }, (_, i) => ({
    prompt: `prompt ${i}`,
    completion: 'c'.repeat((i % 99) + 1),
  }));
  const jsonl = (from: typeof rows) => Buffer.from(from.map((row) => `${JSON.stringify(row)}\n`).join(''));
  let body = jsonl(rows);
  let etag = '"one"';
  let served: string[] = [];
  /** The next answers stop after so many bytes, the connection cut. */
  let cuts: number[] = [];
  let afterCut = (): void => {};
  let base = '';

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '';
    const { range, 'if-range': ifRange } = request.headers;
    served.push(`${request.method} ${range ?? 'whole'}`);
    if (url.startsWith('/private')) return void response.writeHead(403).end();
    if (!url.startsWith('/rows.jsonl')) return void response.writeHead(404).end();
    const start = range !== undefined && ifRange === etag ? Number(/bytes=(\d+)-/.exec(range)?.[1]) : 0;
    response.writeHead(start > 0 ? 206 : 200, {
      etag,
      'content-length': body.length - start,
      ...(start > 0 && { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
    });
    const cut = cuts.shift();
    if (cut === undefined) {
      response.end(request.method === 'HEAD' ? undefined : body.subarray(start));
      return;
    }
    response.write(body.subarray(start, start + cut), () => setTimeout(() => response.destroy(), 100));
    afterCut();
  }

  const server = createServer(answer);
  const home = join(folder, 'home');
  beforeAll(async () => {
    process.env['HF_HOME'] = home;
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    await rm(home, { recursive: true, force: true });
    [body, etag, served, cuts, afterCut] = [jsonl(rows), '"one"', [], [], () => {}];
  });
  const url = () => `${base}/rows.jsonl?signature=secret`;
  const count = async () => (await readRows(url())).rows.length;

  it('is downloaded once, and again only when the server has another', async () => {
    const { rows: found } = await readRows(url());
    expect(found).toHaveLength(rows.length);
    expect(found[6]).toMatchObject({ ...rows[6], origin: { file: `${base}/rows.jsonl`, line: 7 } });
    expect(await count()).toBe(rows.length);
    expect(served).toEqual(['GET whole', 'HEAD whole']);
    [body, etag] = [jsonl(rows.slice(0, 9)), '"two"'];
    expect(await count()).toBe(9);
    expect(served.slice(2)).toEqual(['HEAD whole', 'GET whole']);
    expect(await readdir(join(home, 'prefgrad', 'data'))).toHaveLength(1);
  });

  it('goes on where a broken connection stopped', async () => {
    cuts = [100_000, 50_000];
    const percents: number[] = [];
    await findRows(url(), { onProgress: (done) => percents.push(done) });
    expect(served).toEqual(['GET whole', 'GET bytes=100000-', 'GET bytes=150000-']);
    expect(await count()).toBe(rows.length);
    expect(percents).toEqual([...new Set(percents)].toSorted((a, b) => a - b));
    expect(percents.at(-1)).toBe(100);
  });

  it('starts again where the file changed between two attempts', async () => {
    cuts = [100_000];
    afterCut = () => ([body, etag] = [jsonl(rows.slice(0, 9)), '"two"']);
    expect(await count()).toBe(9);
    expect(served).toEqual(['GET whole', 'GET bytes=100000-']);
  });

  it('without a connection is what was downloaded before', async () => {
    expect(await count()).toBe(rows.length);
    const [kept] = await readdir(join(home, 'prefgrad', 'data'));
    await writeFile(join(home, 'prefgrad', 'data', kept, 'rows.jsonl'), jsonl(rows.slice(0, 3)));
    server.closeAllConnections();
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    expect(await count()).toBe(3);
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  });

  it('that is not there, or not for everybody, is an error with the cure', async () => {
    await expect(readRows(`${base}/none.jsonl`)).rejects.toThrow(
      `${base}/none.jsonl: the server answered 404, there is no such file; check the address`,
    );
    await expect(readRows(`${base}/private.jsonl`)).rejects.toThrow(
      `${base}/private.jsonl: the server answered 403; download the file with its owner’s tools and give its path`,
    );
  });
});
