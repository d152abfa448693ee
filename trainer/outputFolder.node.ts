import { access, constants, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PrefgradError } from '../engine/errors.ts';

/**
 * Throws a PrefgradError where a run could not write into its output_dir, existing or not, so that it says so before
 * it has worked for hours; and where an adapter is there, which would be taken for part of a model written beside it.
 * Creates nothing.
 */
export async function checkOutputFolder(outputDir: string, written: 'model' | 'adapter'): Promise<void> {
  const refuse = (why: string) =>
    new PrefgradError(`output_dir ${outputDir}: cannot be written, since ${why}; choose another one`);
  for (let path = outputDir; ; path = dirname(path)) {
    const found = await stat(path).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // What does not exist will be made; what lies under a file (ENOTDIR) is refused at that file.
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw refuse(error instanceof Error ? error.message : String(error));
    });
    if (found === undefined && path !== dirname(path)) continue;
    if (found?.isDirectory() !== true) throw refuse(`${path} is no folder`);
    await access(path, constants.W_OK).catch(() => {
      throw refuse(`${path} is read-only for this user`);
    });
    const adapter = await stat(join(outputDir, 'adapter_config.json')).catch(() => undefined);
    if (adapter && written === 'model')
      throw new PrefgradError(
        `output_dir ${outputDir}: holds an adapter (adapter_config.json), beside which a model would not be found; choose another one`,
      );
    return;
  }
}
