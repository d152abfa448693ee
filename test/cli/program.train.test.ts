import { describe, expect, it } from 'vitest';
import type { Work } from '../../cli/program.ts';
import { PrefgradError } from '../../engine/errors.ts';
import { exampleRun, exampleStart } from '../trainer/exampleRun.ts';
import { Signals, cli, config } from './fakeWork.ts';

describe('train', () => {
  const whole: Work['train'] = async (_, { onEvent }) => {
    for (const event of exampleRun()) onEvent(event);
  };

  it('gives the file’s configuration with the arguments put in', async () => {
    let got: unknown;
    const overrides = ['learning_rate=1e-4', 'hpo.gamma=0.3', 'hpo.weight_clip=null', 'output_dir=runs/a=b'];
    await cli(['train', config, ...overrides], {
      train(given, run) {
        got = given;
        return whole(given, run);
      },
    });
    expect(got).toMatchObject({
      method: 'hpo',
      learningRate: 1e-4,
      hpo: { gamma: 0.3, weightClip: null, lambda: 5 },
      outputDir: expect.stringMatching(/runs\/a=b$/) as string,
    });
  });

  it('prints before and after on stdout, progress on stderr', async () => {
    const { code, out, err } = await cli(['train', config], { train: whole });
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "trained 120 of 120 steps in 1:01

                                        before   after      change
      Preference accuracy               59.4 %  84.4 %  +25 points  (64 held-out pairs)
      Margin, chosen − rejected (nats)     9.1    34.3       +25.2  (64 held-out pairs)
      Total reward                        0.41    0.80       +0.39  (12 sampled completions)
      Reward “reading_level”              0.35    0.65        +0.3  (12 sampled completions)
      Reward “short”                      0.24    0.49       +0.25  (12 sampled completions)

      model    runs/x
      report   runs/x/report.html
      metrics  runs/x/metrics.jsonl
      "
    `);
    expect(err).toContain('warning: 3 rows were left out');
    expect(err).toContain('step 120/120');
  });

  it('prints one JSON object with --json', async () => {
    const { code, out } = await cli(['train', '--json', config], { train: whole });
    expect(code).toBe(0);
    expect(out.split('\n')).toHaveLength(2);
    expect(JSON.parse(out)).toMatchObject({
      status: 'done',
      step: 120,
      total_steps: 120,
      before: { pairs: 64, accuracy: 0.594, margin: 9.1, 'auxiliary/short/sampled': 0.24 },
      after: { 'rewards/accuracies': 0.85, 'auxiliary/total/chosen': 0.63 },
      outputs: { model: 'runs/x', report: 'runs/x/report.html' },
    });
  });

  it('stops at the first Ctrl-C and exits 130 when the checkpoint is written', async () => {
    const signals = new Signals();
    const train: Work['train'] = async (_, { signal, onEvent }) => {
      onEvent({ type: 'start', ...exampleStart });
      signals.send('SIGINT');
      expect(signal.aborted).toBe(true);
      await Promise.resolve();
      onEvent({
        type: 'end',
        status: 'stopped',
        step: 1,
        seconds: 2,
        outputs: [{ label: 'checkpoint', path: 'runs/x/checkpoint-1' }],
      });
    };
    const { code, out, err } = await cli(['train', config], { train }, signals);
    expect([code, signals.exits]).toEqual([130, []]);
    expect(err).toContain('stopping after this step, to save a checkpoint; Ctrl-C again to leave at once\n');
    expect(out).toBe('stopped after 1 of 120 steps in 0:02\n\ncheckpoint  runs/x/checkpoint-1\n');
  });

  it('leaves at once at the second, with the signal’s code', async () => {
    const signals = new Signals();
    const train: Work['train'] = async (_, { signal }) => {
      signals.send('SIGTERM');
      signals.send('SIGINT');
      throw signal.reason;
    };
    const { code, err } = await cli(['train', config], { train }, signals);
    expect([code, signals.exits]).toEqual([143, [130]]);
    expect(err).not.toContain('prefgrad:');
  });

  it('reports an error after Ctrl-C that is not the stop itself', async () => {
    const signals = new Signals();
    const train: Work['train'] = async () => {
      signals.send('SIGINT');
      throw new PrefgradError('runs/x/checkpoint-1 could not be written (the disk is full)');
    };
    const { code, err } = await cli(['train', config], { train }, signals);
    expect(code).toBe(1);
    expect(err).toContain('prefgrad: runs/x/checkpoint-1 could not be written');
  });

  it('takes a trainer without an end event for a defect', async () => {
    const { code, err } = await cli(['train', config], { train: async () => {} });
    expect(code).toBe(1);
    expect(err).toContain('this is a defect of prefgrad');
  });
});
