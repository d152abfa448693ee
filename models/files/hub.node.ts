import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PrefgradError } from '../../engine/errors.ts';
import { download, type DownloadProgress } from './download.node.ts';
import type { FileFolder } from './folder.ts';
import type { HubReference } from './hubReference.ts';
import { openFileSource } from './source.node.ts';

/**
 * A model on the hub as a folder: a file is downloaded when it is first asked for and kept under
 * `HF_HOME`/prefgrad (default ~/.cache/huggingface/prefgrad), one folder per revision. The first answer
 * fixes the commit, so that all files are of one commit even if the revision moves on. What is kept is
 * never fetched again: delete the folder, or name another revision, to get a newer one.
 */
export function hubFolder(
  { id, revision }: HubReference,
  onProgress: (progress: DownloadProgress) => void = () => {},
): FileFolder {
  const endpoint = (process.env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, '');
  const home = process.env.HF_HOME ?? join(homedir(), '.cache', 'huggingface');
  const folder = join(home, 'prefgrad', id.replace('/', '--'), encodeURIComponent(revision));
  const commitFile = join(folder, '.commit');

  return {
    name: `${id}@${revision}`,
    async open(file) {
      const path = join(folder, file);
      if (await exists(path)) return openFileSource(path);
      const absent = `${path}.absent`;
      if (await exists(absent)) return undefined;

      await mkdir(folder, { recursive: true });
      const commit = (await exists(commitFile)) ? (await readFile(commitFile, 'utf8')).trim() : undefined;
      const url = `${endpoint}/${id}/resolve/${encodeURIComponent(commit ?? revision)}/${file}`;
      const result = await download({ url, path, file, onProgress });
      if (result === undefined) {
        if (file === 'config.json') {
          throw new PrefgradError(
            `${id}@${revision}: ${endpoint} has no such model, or no config.json in it; check the id and the revision`,
          );
        }
        await writeFile(absent, '');
        return undefined;
      }
      const { commit: served } = result;
      if (commit === undefined && served !== undefined && /^[0-9a-f]{40}$/.test(served)) {
        await writeFile(commitFile, served);
      }
      return openFileSource(path);
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
