import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress } from '../../cli/progress.ts';
import { fitLine } from '../../cli/statusLine.ts';
import { paintFor } from '../../cli/terminal.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import { exampleMetrics, exampleRun, exampleStart } from '../trainer/exampleRun.ts';
import { Screen } from './screen.ts';

let clock = 0;
const now = () => clock;
beforeEach(() => {
  clock = 0;
});

function watch(screen: Screen, live: boolean): Progress {
  return new Progress({ stdout: screen, stderr: screen, live }, now);
}
function stepEvent(step: number): TrainEvent {
  return { type: 'step', step, metrics: exampleMetrics(step), seconds: 0.5, tokens: 1000 };
}

describe('in a log', () => {
  it('writes a line per logging step, and one for whatever else is of interest', () => {
    const screen = new Screen({ columns: 200 });
    const progress = watch(screen, false);
    for (const event of exampleRun()) {
      if (event.type === 'step') clock += event.seconds;
      progress.onEvent(event);
    }
    expect(screen.raw).not.toContain('\x1b');
    const lines = screen.text.split('\n');
    expect(lines.slice(0, 8)).toMatchInlineSnapshot(`
      [
        "examples/stories/model: hpo on dpo (sigmoid), 1.07M parameters, 512 rows and 64 held out, 120 steps, wasm on 2 threads",
        "memory: 74.5 MiB (parameters 4.08 MiB, gradients 4.08 MiB, optimizer 8.15 MiB, step 58.2 MiB: logits kept)",
        "auxiliary rewards: 1,024 of 1,024",
        "reference log-probs: 512 of 512",
        "warning: 3 rows were left out: their prompts alone have 256 tokens or more (max_length)",
        "evaluation at step 0: loss 0.6931, accuracy 59.4 %, margin 9.1, reward total 0.41, reading_level 0.35, short 0.24",
        "step 5/120  loss 0.717  margin -0.04155  2,127 tok/s  0:02 elapsed  0:46 left",
        "step 10/120  loss 0.5508  margin 0.3145  2,241 tok/s  0:04 elapsed  0:44 left",
      ]
    `);
    expect(lines.slice(-3)).toMatchInlineSnapshot(`
      [
        "step 120/120  loss 3.376  margin 2.464  2,336 tok/s  0:48 elapsed  0:00 left",
        "evaluation at step 120: loss 4.393, accuracy 84.4 %, margin 34.3, reward total 0.8, reading_level 0.65, short 0.49",
        "checkpoint-120 saved (16.2 MiB, 0.1 s)",
      ]
    `);
    expect(lines.filter((line) => line.startsWith('step '))).toHaveLength(24);
  });

  it('says now and then how a long phase goes on', () => {
    const screen = new Screen();
    const progress = watch(screen, false);
    for (let done = 0; done <= 100; done++) {
      clock += 1;
      progress.onEvent({ type: 'progress', phase: 'reference', done, total: 100 });
    }
    expect(screen.text.split('\n')).toHaveLength(10);
    expect(screen.text).toMatch(/reference log-probs: 100 of 100$/);
  });

  it('shows numbers that are not finite as such', () => {
    const screen = new Screen();
    watch(screen, false).onEvent({ type: 'log', line: { step: 3, loss: null, 'rewards/margins': 0.5 } });
    expect(screen.text).toBe('step 3/0  loss NaN  margin 0.5  0:00 elapsed');
  });
});

describe('in a terminal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('has one line that is redrawn, with the other lines above it', () => {
    const screen = new Screen({ tty: true, columns: 140 });
    const progress = watch(screen, true);
    const seen: string[] = [];
    for (const event of exampleRun()) {
      if (event.type === 'step') clock += event.seconds;
      progress.onEvent(event);
      vi.advanceTimersByTime(200);
      if (event.type === 'step' && event.step === 40) seen.push(screen.text);
      if (event.type === 'progress' && event.phase === 'reference' && event.done === 256)
        seen.push(screen.text);
    }
    expect(seen[0].split('\n').at(-1)).toMatchInlineSnapshot(
      `"reference log-probs  ████████████░░░░░░░░░░░░  256/512"`,
    );
    expect(seen[1].split('\n').at(-1)).toMatchInlineSnapshot(
      `"step 40/120  ████████░░░░░░░░░░░░░░░░  loss 6.632  margin 0.9529  2,250 tok/s  0:16 elapsed  0:32 left"`,
    );
    expect(screen.text).toMatchInlineSnapshot(`
      "examples/stories/model: hpo on dpo (sigmoid), 1.07M parameters, 512 rows and 64 held out, 120 steps, wasm on 2 threads
      memory: 74.5 MiB (parameters 4.08 MiB, gradients 4.08 MiB, optimizer 8.15 MiB, step 58.2 MiB: logits kept)
      warning: 3 rows were left out: their prompts alone have 256 tokens or more (max_length)
      evaluation at step 0: loss 0.6931, accuracy 59.4 %, margin 9.1, reward total 0.41, reading_level 0.35, short 0.24
      evaluation at step 30: loss 4.618, accuracy 71.9 %, margin 15.4, reward total 0.4587, reading_level 0.425, short 0.2556
      checkpoint-30 saved (16.2 MiB, 0.1 s)
      evaluation at step 60: loss 4.543, accuracy 77.1 %, margin 21.7, reward total 0.5479, reading_level 0.5, short 0.3025
      checkpoint-60 saved (16.2 MiB, 0.1 s)
      evaluation at step 90: loss 4.468, accuracy 81.1 %, margin 28, reward total 0.6633, reading_level 0.575, short 0.3806
      checkpoint-90 saved (16.2 MiB, 0.1 s)
      evaluation at step 120: loss 4.393, accuracy 84.4 %, margin 34.3, reward total 0.8, reading_level 0.65, short 0.49
      checkpoint-120 saved (16.2 MiB, 0.1 s)"
    `);
    expect(screen.cursorHidden).toBe(false);
  });

  it('lets the clock go on during a step, and keeps within the terminal’s width', () => {
    for (const columns of [120, 80, 60, 40, 24, 10]) {
      const screen = new Screen({ tty: true, columns });
      clock = 0;
      const progress = watch(screen, true);
      progress.onEvent(stepEvent(1));
      vi.advanceTimersByTime(200);
      const before = screen.text;
      clock = 61;
      vi.advanceTimersByTime(200);
      const elapsed = [before, screen.text].map((text) => /\S+ elapsed/.exec(text)?.[0]);
      expect(elapsed).toEqual(columns >= 80 ? ['0:00 elapsed', '1:01 elapsed'] : [undefined, undefined]);
      expect(screen.text).toMatch(/^step 1.*$/); // one line: nothing wrapped
      expect(screen.cursorHidden).toBe(true);
      progress.stop();
      expect([screen.text, screen.cursorHidden]).toEqual(['', false]);
    }
  });

  it('estimates the time left from the last steps', () => {
    const screen = new Screen({ tty: true, columns: 140 });
    const progress = watch(screen, true);
    progress.onEvent({ type: 'start', ...exampleStart, totalSteps: 200 });
    progress.onEvent({ type: 'step', step: 1, metrics: { loss: 1 }, seconds: 1000, tokens: 1 }); // compiling
    for (let i = 2; i <= 80; i++) progress.onEvent(stepEvent(i));
    vi.advanceTimersByTime(200);
    expect(screen.text.split('\n').at(-1)).toMatch(/2,000 tok\/s .* 1:00 left$/);
    progress.stop();
  });
});

describe('fitLine', () => {
  const fields = [
    { text: 'step 1/9', drop: 0 },
    { text: 'loss 0.5', drop: 1 },
    { text: '0:10 elapsed', drop: 5 },
    { text: '1:00 left', drop: 2 },
  ];
  it('drops the bar, then the fields that matter least', () => {
    expect([70, 50, 40, 30, 20, 8, 4].map((columns) => fitLine(fields, 0.5, columns))).toMatchInlineSnapshot(`
      [
        "step 1/9  ████████████░░░░░░░░░░░░  loss 0.5  0:10 elapsed  1:00 left",
        "step 1/9  loss 0.5  0:10 elapsed  1:00 left",
        "step 1/9  █████░░░░  loss 0.5  1:00 left",
        "step 1/9  loss 0.5  1:00 left",
        "step 1/9  loss 0.5",
        "step 1/9",
        "step",
      ]
    `);
  });
  it('keeps the bar’s ends', () => {
    for (const fraction of [-1, 0, 1, 2, 0.999])
      expect(fitLine(fields, fraction, 79)).toHaveLength(
        fields.map(({ text }) => text).join('  ').length + 26,
      );
  });
});

it('colours only where the stream shows them', () => {
  const stream = { write: () => true, isTTY: true, hasColors: () => true };
  expect(paintFor(stream).warning('x')).toBe('\x1b[33mx\x1b[39m');
  expect(paintFor({ ...stream, hasColors: () => false }).bold('x')).toBe('x'); // Node says so under NO_COLOR
  expect(paintFor({ ...stream, isTTY: false }).bold('x')).toBe('x');
});
