import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packages } from './runtimes.ts';

/** What is used of playwright-core, whose types are there only where it is installed. */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate(script: string): Promise<unknown>;
}

/** A browser, and the pages that it opens: `isolated` from other origins, where memory can be shared, or not. */
export interface Pages {
  open(isolated: boolean): Promise<Page>;
  close(): Promise<void>;
}

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Starts Chromium with a WebGPU in software, and a server of folders of modules, each under its name. */
export async function openPages(
  executablePath: string,
  folders: Readonly<Record<string, string>>,
): Promise<Pages> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const [, kind, name = '', file = ''] = pathname.split('/');
    const headers = kind === 'isolated' ? isolation : {};
    if (name === '') {
      response.writeHead(200, { 'Content-Type': 'text/html', ...headers }).end('<!doctype html>');
      return;
    }
    readFile(join(folders[name] ?? '', file)).then(
      (body) => response.writeHead(200, { 'Content-Type': 'text/javascript', ...headers }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const library = pathToFileURL(join(packages, 'playwright-core', 'index.mjs')).href;
  const { chromium } = (await import(library)) as Playwright;
  const browser = await chromium.launch({
    executablePath,
    args: [
      ...['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--disable-quic', '--no-first-run'],
      // As in engine/webgpu/gpu.ts: without it SwiftShader compiles ten times as long.
      '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
    ],
  });
  return {
    async open(isolated) {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${port}/${isolated ? 'isolated' : 'open'}/`);
      return page;
    },
    async close() {
      await browser.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
