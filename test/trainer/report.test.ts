import { describe, expect, it } from 'vitest';
import type { Chart } from '../../trainer/report/charts.ts';
import { compare } from '../../trainer/report/comparison.ts';
import {
  emptyRecord,
  recordEvent,
  restoreRecord,
  saveRecord,
  type RunRecord,
} from '../../trainer/report/record.ts';
import { renderReport } from '../../trainer/report/report.ts';
import { exampleEvaluation, exampleRecord, exampleStart } from './exampleRun.ts';

/** The page's own markup, without the scripts and styles put into it. */
function body(record: RunRecord): string {
  return renderReport(record).replace(/<(script|style)\b[\s\S]*?<\/\1>/g, '');
}
function text(record: RunRecord): string {
  return body(record)
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}
function chartsOf(record: RunRecord): Chart[] {
  const json = /<script type="application\/json" id="charts">(.*?)<\/script>/.exec(renderReport(record))?.[1];
  return JSON.parse(json ?? '') as Chart[];
}
const titles = (record: RunRecord) => chartsOf(record).map(({ title }) => title);

describe('renderReport', () => {
  it('is one page that loads nothing', () => {
    const page = renderReport(exampleRecord());
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("default-src 'none'");
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(body(exampleRecord())).not.toMatch(/<link|<img|<iframe|\ssrc=|@import|url\(/);
    expect([...body(exampleRecord()).matchAll(/href="([^#][^"]*)"/g)].map(([, to]) => to)).toEqual([
      'https://arxiv.org/abs/2405.17956',
    ]);
  });

  it('has the headline numbers before and after', () => {
    const said = text(exampleRecord());
    expect(said).toContain(
      'Preference accuracy 59.4 % → 84.4 % +25 points · 64 held-out pairs, ± 4.5 points',
    );
    expect(said).toContain('Total reward 0.41 → 0.80 +0.39 · 12 sampled completions');
    expect(said).toContain('Margin, chosen − rejected (nats) 9.1 → 34.3 +25.2 · 64 held-out pairs');
    expect(said).toContain('120 of 120');
    expect(said).toContain('3 rows were left out');
  });

  it('escapes whatever data, models and settings say', () => {
    const evil = `</script></style><img src=x onerror=alert(1)>"'&<!--`;
    const record = exampleRecord();
    record.start = {
      ...exampleStart,
      model: evil,
      method: evil,
      device: evil,
      config: { [evil]: evil },
      environment: { [evil]: evil },
    };
    record.warnings = [{ message: evil }];
    const evaluation = exampleEvaluation(120);
    record.evaluations = [exampleEvaluation(0), evaluation].map((one) => ({
      ...one,
      auxiliary: { [evil]: { sampled: 0.5 } },
      samples: [{ prompt: evil, completion: evil, rewards: { [evil]: 1 } }],
    }));
    record.lines = [{ step: 1, loss: 1, [evil]: 2, [`auxiliary/${evil}/chosen`]: 3 }];
    record.end = { status: 'done', step: 1, seconds: 1, outputs: [{ label: evil, path: evil }] };
    const page = renderReport(record);
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(page.match(/<\/style>/g)).toHaveLength(1);
    expect(page.replace(/<(script|style)\b[\s\S]*?<\/\1>/g, '')).not.toContain('<!--');
    expect(titles(record)).toContain(evil);
    expect(body(record)).toContain('&#60;/script&#62;');
  });

  it('shows completions as they are, control characters too', () => {
    const record = exampleRecord();
    const samples = [{ prompt: ' a\n  b', completion: '\tx\n\n\0\u001b[31m', rewards: { short: null } }];
    record.evaluations = [{ ...exampleEvaluation(0), samples }];
    expect(body(record)).toContain('<div class="text prompt" dir="auto"> a\n  b</div>');
    expect(body(record)).toContain('<div class="text" dir="auto">\tx\n\n␀␛[31m</div>');
  });

  it('puts the same prompt’s completions side by side, with what changed', () => {
    const record = exampleRecord();
    record.evaluations = [
      {
        ...exampleEvaluation(0),
        samples: ['a', 'b'].map((prompt) => ({ prompt, completion: `${prompt}0`, rewards: { short: 0.25 } })),
      },
      {
        ...exampleEvaluation(9),
        samples: ['b', 'c'].map((prompt) => ({ prompt, completion: `${prompt}9`, rewards: { short: 0.75 } })),
      },
    ];
    const completions = text(record).split('Completions before and after')[1];
    expect(completions).toMatch(
      /^ Prompt Before \(step 0\) After \(step 9\) a a0 short 0.25 not sampled b b0 short 0.25 b9 short 0.75 \+0.5 Config/,
    );
  });

  it('renders a run without evaluation from what training measured', () => {
    const record = emptyRecord();
    recordEvent(record, {
      type: 'start',
      ...exampleStart,
      totalSteps: 1,
      data: { train: 1, heldOut: 0, leftOut: 0 },
    });
    recordEvent(record, {
      type: 'log',
      line: { step: 1, loss: 0.6931, 'rewards/accuracies': 0, learning_rate: 0 },
    });
    const said = text(record);
    expect(said).toContain('No evaluation was made');
    expect(said).toContain('Training loss 0.6931 step 1');
    expect(said).toContain('1 of 1 (did not end)');
    expect(titles(record)).toEqual(['Total loss', 'Preference accuracy', 'Learning rate']);
    expect(said).not.toContain('Completions before');
    expect(said).not.toContain('against auxiliary reward');
  });

  it('renders where only the start was evaluated, and where nothing happened', () => {
    const record = exampleRecord();
    record.evaluations = [exampleEvaluation(0)];
    expect(text(record)).toContain('Preference accuracy 59.4 % before training 64 held-out pairs');
    const empty = text(emptyRecord());
    expect(empty).toContain('The run ended before its first step');
    expect(empty).toContain('No step was logged');
    expect(empty).not.toMatch(/undefined|NaN|\[object/);
  });

  it('shows numbers that were not finite as gaps, and says so', () => {
    const record = exampleRecord();
    record.lines = record.lines.map((line) =>
      line.step > 60 && line.step < 90 ? { ...line, loss: null } : line,
    );
    record.evaluations = record.evaluations.map((one) => ({ ...one, margin: NaN, accuracy: null }));
    expect(chartsOf(record)[0].series[0].y.filter((value) => value === null)).toHaveLength(5);
    const said = text(record);
    expect(said).toContain('training: not finite at 5 logged steps, first at 65');
    expect(said).toContain('not finite'); // in the table of numbers
    expect(said).not.toMatch(/NaN|undefined/);
    expect(said).not.toContain('against auxiliary reward');
  });

  it('marks the reference in the plot of accuracy against reward, a point per evaluation', () => {
    const plots = [...body(exampleRecord()).matchAll(/<svg[\s\S]*?<\/svg>/g)].map(([svg]) => svg);
    expect(plots).toHaveLength(3);
    expect(plots[0]).toContain('from 59.4 % and 0.41 at step 0 to 84.4 % and 0.8 at step 120');
    expect(plots[0].match(/<circle/g)).toHaveLength(4);
    expect(plots[0].match(/<rect/g)).toHaveLength(1);
    expect(plots[0]).toContain('>reference</text>');
    const coordinates = [...plots[0].matchAll(/(?:cx|cy|points)="([^"]*)"/g)].flatMap(([, list]) =>
      list.split(/[ ,]/).map(Number),
    );
    expect(coordinates.every((value) => value >= 0 && value <= 440)).toBe(true);
  });
});

describe('the record', () => {
  it('goes through a checkpoint and a resume', () => {
    const record = exampleRecord();
    const restored = restoreRecord(saveRecord(record, 61.4), 'record.json');
    expect(restored).toEqual(JSON.parse(JSON.stringify({ ...record, end: undefined, secondsBefore: 61.4 })));
    recordEvent(restored, {
      type: 'start',
      ...exampleStart,
      firstStep: 120,
      device: 'webgpu',
      startedAt: '2027-01-01T00:00:00Z',
    });
    expect(restored.start).toMatchObject({ device: 'webgpu', startedAt: exampleStart.startedAt });
    recordEvent(restored, { type: 'end', status: 'stopped', step: 130, seconds: 8.6, outputs: [] });
    expect(text(restored)).toContain('130 of 120 (stopped by the user)');
    expect(text(restored)).toContain('Time 1:10');
    for (const damaged of ['{', '[]', '{"lines": 3}']) {
      expect(() => restoreRecord(damaged, 'x/record.json')).toThrow("x/record.json: expected a run's record");
    }
  });

  it('keeps samples of the first and the last evaluation alone', () => {
    const evaluations = exampleRecord().evaluations;
    expect(evaluations.map(({ samples }) => samples?.length)).toEqual([
      12,
      undefined,
      undefined,
      undefined,
      12,
    ]);
  });
});

it('compare gives standard errors where they can be had', () => {
  const [accuracy, margin, total, readingLevel] = compare(exampleRecord());
  expect(accuracy.error).toBeCloseTo(Math.sqrt((0.844 * 0.156) / 64), 10);
  expect(margin.error).toBeUndefined();
  expect(total.error).toBeCloseTo(Math.sqrt(13 / 12) / 60, 10); // of 0/60 … 11/60: variance 13/3600, over 12
  expect(readingLevel.error).toBeUndefined(); // all samples have the same
  expect(compare(emptyRecord())).toEqual([]);
});
