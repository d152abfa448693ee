import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import brevity from '../../examples/stories/brevity.mjs';
import {
  CORPUS,
  HELD_OUT,
  TRAINING,
  corpus,
  preferencePairs,
  toJsonLines,
} from '../../examples/stories/generate.mjs';
import { combination, keepsPromise } from '../../examples/stories/grammar.mjs';
import type { Story } from '../../examples/stories/grammar.mjs';
import { plots } from '../../examples/stories/plots.mjs';

const folder = join(import.meta.dirname, '../../examples/stories');
const training = preferencePairs(TRAINING, false);
const heldOut = preferencePairs(HELD_OUT, true);
const stories = [...corpus({ ...CORPUS, stories: 10_000 })];
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Pearson's correlation. */
function correlation(x: readonly number[], y: readonly number[]): number {
  const dx = x.map((value) => value - mean(x));
  const dy = y.map((value) => value - mean(y));
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, i) => sum + value * b[i], 0);
  return dot(dx, dy) / Math.sqrt(dot(dx, dx) * dot(dy, dy));
}

describe('the corpus', () => {
  it('is the same text for the same seed and another for another', () => {
    const text = (seed: number) => Array.from(corpus({ stories: 50, seed }), (row) => row.text);
    expect(text(7)).toEqual(text(7));
    expect(text(7)).not.toEqual(text(8));
  });

  it('keeps 45 to 55 % of its promises, in every plot', () => {
    for (const plot of plots) {
      const kept = stories.filter(({ story }) => story.plot === plot).map((row) => Number(row.kept));
      expect(kept.length, plot.name).toBeGreaterThan(1000);
      expect(mean(kept), plot.name).toBeGreaterThan(0.45);
      expect(mean(kept), plot.name).toBeLessThan(0.55);
    }
  });

  it('tells of what it promised exactly where it is marked as kept', () => {
    const wrong = stories.filter(
      ({ story, kept, text }) =>
        !text.startsWith(`${story.prompt} `) || keepsPromise(story, text.slice(story.prompt.length)) !== kept,
    );
    expect(wrong).toEqual([]);
  });

  it('fills every slot of every template', () => {
    expect(stories.map(({ text }) => text).filter((text) => /[{}]|undefined|\s\s/.test(text))).toEqual([]);
  });

  it('has no combination of hero and promise that is held out', () => {
    const seen = new Set(stories.map(({ story }) => combination(story)));
    expect(heldOut.filter(({ story }) => seen.has(combination(story)))).toEqual([]);
  });
});

describe.each([
  ['training', training],
  ['held-out', heldOut],
])('the %s pairs', (_, rows) => {
  it('have distinct prompts, and completions that follow after a space', () => {
    expect(new Set(rows.map(({ pair }) => pair.prompt)).size).toBe(rows.length);
    const wrong = rows.filter(
      ({ pair }) =>
        !/^[A-Z].*\.$/.test(pair.prompt) ||
        ![pair.chosen, pair.rejected].every((text) => /^ [A-Z].*\.$/.test(text)),
    );
    expect(wrong).toEqual([]);
  });

  it('keep the promise in the chosen ending and break it in the rejected one', () => {
    const swapped = (story: Story) => ({ ...story, promised: story.other, other: story.promised });
    const wrong = rows.filter(
      ({ story, pair }) =>
        !keepsPromise(story, pair.chosen) ||
        keepsPromise(story, pair.rejected) ||
        !keepsPromise(swapped(story), pair.rejected),
    );
    expect(wrong).toEqual([]);
  });

  it('have a brevity that varies widely and says nothing about the preference', () => {
    const chosen = rows.map(({ pair }) => brevity(pair.prompt, pair.chosen));
    const rejected = rows.map(({ pair }) => brevity(pair.prompt, pair.rejected));
    const preferred = [...chosen.map(() => 1), ...rejected.map(() => 0)];
    expect(Math.abs(correlation([...chosen, ...rejected], preferred))).toBeLessThan(0.1);
    const all = [...chosen, ...rejected];
    expect(all.filter((r) => r > 0.8).length / all.length).toBeGreaterThan(0.25);
    expect(all.filter((r) => r < 0.3).length / all.length).toBeGreaterThan(0.25);
  });

  it('have the promise in first and in second place about equally often', () => {
    const first = rows.map(({ story, pair }) => {
      const place = (thing: Story['promised']) =>
        Math.max(...Object.values(thing.forms).map((form) => pair.prompt.indexOf(form)));
      return story.plot.name === 'contest' ? undefined : Number(place(story.promised) < place(story.other));
    });
    const share = mean(first.filter((value) => value !== undefined));
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.6);
  });
});

describe('the held-out pairs', () => {
  it('share no prompt and no combination of hero and promise with the training pairs', () => {
    const prompts = new Set(training.map(({ pair }) => pair.prompt));
    const combinations = new Set(training.map(({ story }) => combination(story)));
    expect(heldOut.filter(({ pair }) => prompts.has(pair.prompt))).toEqual([]);
    expect(heldOut.filter(({ story }) => combinations.has(combination(story)))).toEqual([]);
  });

  it('come from every plot', () => {
    expect(new Set(heldOut.map(({ story }) => story.plot)).size).toBe(plots.length);
  });
});

describe('the committed files', () => {
  it.each([
    ['pairs.jsonl', training],
    ['heldout.jsonl', heldOut],
  ])('%s is what generate.mjs writes', (file, rows) => {
    expect(readFileSync(join(folder, file), 'utf8')).toBe(toJsonLines(rows.map(({ pair }) => pair)));
  });
});

describe('brevity', () => {
  it('is 1 up to six words, 0 from 32 on, even between, and 0 for nothing', () => {
    const text = (n: number) => ` ${Array.from({ length: n }, () => 'word').join(' ')}`;
    expect([1, 6, 19, 32, 60].map((n) => brevity('', text(n)))).toEqual([1, 1, 0.5, 0, 0]);
    expect(brevity('', ' ')).toBe(0);
  });
});
