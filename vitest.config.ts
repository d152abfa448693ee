import { existsSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** The two loaders that tsup uses: .wgsl as text, .wasm as Uint8Array. */
const assets = () => ({
  name: 'assets',
  enforce: 'pre' as const,
  load(id: string) {
    const file = id.split('?')[0] ?? id;
    if (file.endsWith('.wgsl')) return `export default ${JSON.stringify(readFileSync(file, 'utf8'))}`;
    if (file.endsWith('.wasm'))
      return `export default Uint8Array.from(atob(${JSON.stringify(readFileSync(file).toString('base64'))}), (c) => c.charCodeAt(0))`;
    return undefined;
  },
});

// A software GPU for the WebGPU tests, where there is one: drivers are found when a test's process starts.
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (existsSync(swiftshader)) process.env['VK_ICD_FILENAMES'] ??= swiftshader;

export default defineConfig({
  plugins: [assets()],
  test: { include: ['test/**/*.test.ts'], pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000 },
});
