import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../cache.node.ts';
import type { RewardCache } from './cache.ts';

/** `<hash of prompt and completion> <score>`. */
const LINE = /^([0-9a-f]{64}) (\S+)$/;

/**
 * Scores on disk, a file per reward of one line per text, to which each flush appends: two runs may share it, and a
 * line that a crash cut short is as good as none. A folder that cannot be read or written is as good as no cache.
 */
export function fileRewardCache(): RewardCache {
  const folder = join(cacheFolder(), 'rewards');
  const known = new Map<string, Promise<Map<string, number>>>();
  const added = new Map<string, string[]>();
  const scoresOf = (reward: string): Promise<Map<string, number>> => {
    const scores = known.get(reward) ?? readScores(join(folder, `${reward}.txt`));
    known.set(reward, scores);
    return scores;
  };
  return {
    get: async (reward, text) => (await scoresOf(reward)).get(text),
    async set(reward, text, score) {
      (await scoresOf(reward)).set(text, score);
      const lines = added.get(reward) ?? [];
      lines.push(`${text} ${score}\n`);
      added.set(reward, lines);
    },
    async flush() {
      for (const [reward, lines] of added) {
        added.delete(reward);
        try {
          await mkdir(folder, { recursive: true });
          // Begins with a line break, so that a line cut short before it stays alone.
          await appendFile(join(folder, `${reward}.txt`), `\n${lines.join('')}`);
        } catch {
          // A cache that cannot be written costs the next run its time, not this one its work.
        }
      }
    },
  };
}

async function readScores(path: string): Promise<Map<string, number>> {
  const scores = new Map<string, number>();
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [, hash, score] = LINE.exec(line) ?? [];
    if (hash !== undefined && Number.isFinite(Number(score))) scores.set(hash, Number(score));
  }
  return scores;
}
