import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Work } from '../../cli/program.ts';
import { PrefgradError } from '../../engine/errors.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import { exampleEvaluation, exampleRun } from '../trainer/exampleRun.ts';
import { Signals, cli, config, file, folder } from './fakeWork.ts';

describe('generate', () => {
  const generate: Work['generate'] = async (options, { onText, onEvent }) => {
    onEvent({ type: 'progress', phase: 'load', done: 0, total: 1 });
    for (const piece of ['Once', ' upon', ' a time']) onText(piece);
    return { completion: 'Once upon a time', tokens: options.maxNewTokens, finishReason: 'length' };
  };
  it('prints the completion alone', async () => {
    const { code, out } = await cli(['generate', '--model', 'm', '--prompt', 'p', '--max-new-tokens', '3'], {
      generate,
    });
    expect([code, out]).toEqual([0, 'Once upon a time\n']);
  });
  it('prints JSON with --json', async () => {
    const { out } = await cli(['generate', '--model', 'm', '--prompt', 'p', '--json'], { generate });
    expect(JSON.parse(out)).toEqual({ completion: 'Once upon a time', tokens: 128, finish_reason: 'length' });
  });
  it('passes every option on', async () => {
    const seen: unknown[] = [];
    const record: Work['generate'] = async (options) => {
      seen.push(options);
      return { completion: '', tokens: 0, finishReason: 'eos' };
    };
    await cli(['generate', '--model', 'm', '--prompt', ''], { generate: record });
    const all =
      '--chat --max-new-tokens 5 --temperature 0.7 --top-k 40 --top-p 0.9 --seed 3 --device wasm --threads 2';
    await cli(['generate', '--model', 'm', '--prompt', '-x', ...all.split(' ')], { generate: record });
    expect(seen).toEqual([
      {
        model: 'm',
        prompt: '',
        chat: false,
        maxNewTokens: 128,
        temperature: 0,
        seed: 0,
        device: 'auto',
        json: false,
      },
      {
        model: 'm',
        prompt: '-x',
        chat: true,
        maxNewTokens: 5,
        temperature: 0.7,
        topK: 40,
        topP: 0.9,
        seed: 3,
        device: 'wasm',
        threads: 2,
        json: false,
      },
    ]);
  });
  it('ends at Ctrl-C', async () => {
    const signals = new Signals();
    const interrupted: Work['generate'] = async () => {
      signals.send('SIGINT');
      return { completion: '', tokens: 0, finishReason: 'eos' };
    };
    await cli(['generate', '--model', 'm', '--prompt', 'p'], { generate: interrupted }, signals);
    expect(signals.exits).toEqual([130]);
  });
});

describe('score, evaluate and devices', () => {
  it('score says what it wrote', async () => {
    let got: unknown;
    const score: Work['score'] = async (options) => {
      got = options;
      return { rows: 12, leftOut: 1 };
    };
    const argv = [
      'score',
      '--model',
      'm',
      '--data',
      'rows.jsonl',
      '--out',
      'scores.jsonl',
      '--max-length',
      '96',
      '--device',
      'reference',
    ];
    const plain = await cli(argv, { score });
    expect([plain.code, plain.out]).toEqual([0, '']);
    expect(plain.err).toBe(
      '12 rows scored to scores.jsonl; 1 left out, their prompts alone fill max_length\n',
    );
    expect(got).toEqual({
      model: 'm',
      data: 'rows.jsonl',
      out: 'scores.jsonl',
      maxLength: 96,
      device: 'reference',
      addBos: false,
      json: false,
    });
    const { out } = await cli([...argv, '--json'], { score });
    expect(JSON.parse(out)).toEqual({ rows: 12, left_out: 1, out: 'scores.jsonl' });
  });

  it('evaluate prints one flat object, or a table', async () => {
    let got: unknown;
    const evaluate: Work['evaluate'] = async (_, run) => {
      got = run.config;
      run.onEvent({ type: 'warning', message: 'one row was left out' });
      return { ...exampleEvaluation(120), margin: null };
    };
    const argv = ['evaluate', '--model', 'm', '--data', 'rows.jsonl', '--config', config];
    const json = await cli([...argv, '--json'], { evaluate });
    expect(JSON.parse(json.out)).toMatchObject({
      pairs: 64,
      margin: null,
      'rewards/margins': 2.2,
      'auxiliary/short/rejected': 0.5,
    });
    expect(json.err).toBe('warning: one row was left out\n');
    expect(got).toMatchObject({ method: 'hpo', maxLength: 1024 });
    expect((await cli(argv, { evaluate })).out).toMatchInlineSnapshot(`
      "pairs                                 64
      accuracy                          84.4 %
      margin                                 –
      loss                               4.393
      rewards/accuracies                85.0 %
      rewards/margins                      2.2
      auxiliary/total/chosen              0.63
      auxiliary/total/rejected            0.72
      auxiliary/total/sampled              0.8
      auxiliary/reading_level/chosen      0.55
      auxiliary/reading_level/rejected    0.45
      auxiliary/reading_level/sampled     0.65
      auxiliary/short/chosen              0.35
      auxiliary/short/rejected             0.5
      auxiliary/short/sampled             0.49
      "
    `);
  });

  it('devices lists them', async () => {
    const devices: Work['devices'] = async () => [
      {
        ...{
          name: 'webgpu',
          available: true,
          detail: 'SwiftShader, google; a software adapter',
          auto: false,
        },
        ...{ limits: { maxBufferSize: 1073741824 }, features: ['subgroups', 'timestamp-query'] },
      },
      { name: 'wasm', available: true, detail: '2 threads, relaxed SIMD', auto: true, reason: 'no GPU' },
    ];
    expect((await cli(['devices'], { devices })).out).toMatchInlineSnapshot(`
      "webgpu  available      SwiftShader, google; a software adapter
              maxBufferSize  1,073,741,824
              features       subgroups, timestamp-query
      wasm    available      2 threads, relaxed SIMD
      auto takes wasm: no GPU
      "
    `);
    expect(JSON.parse((await cli(['devices', '--json'], { devices })).out)).toHaveLength(2);
  });
});

describe('errors', () => {
  const bad = (text: string) => file('bad.yaml', text);
  it.each([
    ['no command', []],
    ['an unknown command', ['trian', 'x.yaml']],
    ['an unknown option', ['score', '--modle', 'm', '--data', 'd']],
    ['a missing option', ['score', '--model', 'm', '--data', 'd']],
    ['an option without its value', ['generate', '--model']],
    ['no configuration', ['train']],
    ['a device that is none', ['score', '--model', 'm', '--data', 'd', '--out', 'o', '--device', 'cuda']],
    ['a number that is none', ['generate', '--model', 'm', '--prompt', 'p', '--max-new-tokens', '1.5']],
    ['a number out of range', ['generate', '--model', 'm', '--prompt', 'p', '--top-p', '1.5']],
    ['one argument too many', ['devices', 'all']],
    ['an override that is none', ['train', config, 'beta']],
  ])('%s: exit code 2', async (_, argv) => {
    const { code, out, err } = await cli(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err.trimEnd().split('\n').at(-1)).toMatchSnapshot('message');
  });

  it.each([
    ['a configuration that is not there', () => join(folder, 'none.yaml')],
    ['broken YAML', () => bad('model: m\nhpo: {gamma: 0.5\nbeta: 0.1\n')],
    ['an unknown key', () => bad('model: m\ndata: d\nmethod: dpo\nlearning_rat: 0.1\n')],
    ['several mistakes', () => bad('method: dpo\nbeta: many\n')],
  ])('%s: exit code 1', async (_, path) => {
    const { code, out, err } = await cli(['train', path()]);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatchSnapshot('message');
  });

  it('a PrefgradError is one line', async () => {
    const devices = () => Promise.reject(new PrefgradError('webgpu: no adapter; use --device wasm'));
    expect(await cli(['devices'], { devices })).toEqual({
      code: 1,
      out: '',
      err: 'prefgrad: webgpu: no adapter; use --device wasm\n',
    });
  });

  it('any other error has its stack and asks for a report', async () => {
    const devices = () => Promise.reject(new TypeError('x is not a function'));
    const { code, err } = await cli(['devices'], { devices });
    expect(code).toBe(1);
    expect(err).toMatch(/^prefgrad: unexpected error; this is a defect of prefgrad\. Please report it/);
    expect(err).toMatch(/TypeError: x is not a function\n {4}at .*program\.test\.ts/);
    expect(err).toMatch(/\(prefgrad \d+\.\d+\.\d+, Node \d+/);
  });

  it('help and version are no errors', async () => {
    const help = await cli(['--help']);
    expect([help.code, help.err]).toEqual([0, '']);
    for (const command of ['train', 'generate', 'score', 'evaluate', 'devices'])
      expect(help.out).toContain(`  ${command} `);
    const score = await cli(['score', '--help']);
    expect(score.code).toBe(0);
    expect(score.out).toContain('--max-length <n>');
    expect((await cli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

it('an event of every kind is shown or kept', () => {
  const kinds = new Set<TrainEvent['type']>([...exampleRun()].map(({ type }) => type));
  expect([...kinds].toSorted()).toEqual([
    'checkpoint',
    'end',
    'evaluation',
    'log',
    'memory',
    'progress',
    'start',
    'step',
    'warning',
  ]);
});
