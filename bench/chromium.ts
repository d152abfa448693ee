import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PageJob } from './browser.ts';
import { PLAYWRIGHT, findChromium } from './runtimes.ts';

/** What is used of playwright-core, which scripts/runtimes installs. */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<{
      newPage(): Promise<{ goto(url: string): Promise<unknown>; evaluate(script: string): Promise<unknown> }>;
      close(): Promise<void>;
    }>;
  };
}

/** Bundles browser.ts and serves it to a page of its own origin, which may share memory with its workers. */
async function servePage(): Promise<{ url: string; close: () => void }> {
  const { build } = await import('tsup');
  await build({ config: join('bench', 'tsup.browser.config.ts') });
  const script = await readFile(join('bench', 'build', 'browser.mjs'));
  const isolation = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
  const server = createServer(({ url }, response) => {
    const type = url === '/browser.mjs' ? 'text/javascript' : 'text/html';
    response.writeHead(200, { 'Content-Type': type, ...isolation });
    response.end(url === '/browser.mjs' ? script : '<!doctype html>');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => server.close(),
  };
}

/** Seconds of each run in Chromium. Errors: it is not installed. */
export async function timeInChromium(job: PageJob): Promise<number[]> {
  const executablePath = findChromium();
  if (executablePath === undefined)
    throw new Error('there is no Chromium; bash scripts/runtimes installs it');
  const { chromium } = (await import(pathToFileURL(resolve(PLAYWRIGHT)).href)) as Playwright;
  const server = await servePage();
  const browser = await chromium.launch({
    executablePath,
    args: [
      ...['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
      ...['--disable-sync', '--disable-quic', '--no-first-run'],
    ],
  });
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    const call = `import('/browser.mjs').then(({ measureInPage }) => measureInPage(${JSON.stringify(job)}))`;
    return (await page.evaluate(call)) as number[];
  } finally {
    await browser.close();
    server.close();
  }
}
