import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { parseSettings } from '../../trainer/config.ts';
import {
  computeRewards,
  createRewards,
  memoryCache,
  type RewardTarget,
} from '../../trainer/rewards/index.ts';

interface Asked {
  prompts: string[];
  completions: string[];
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server on this machine; it tells what it was asked. */
async function serve(
  answer: (asked: Asked, response: ServerResponse, count: number, token: string) => void,
): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(pieces).toString()) as Asked;
      asked.push(body);
      answer(body, response, asked.length, request.headers.authorization ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`, asked };
}
const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

const targets = (count: number): RewardTarget[] =>
  Array.from({ length: count }, (_, i) => ({
    prompt: `p${i}`,
    completion: 'x'.repeat(i),
    origin: { file: 'rows.jsonl', line: i + 1 },
  }));

async function rewardsOf(entry: Readonly<Record<string, unknown>>) {
  return createRewards(parseSettings({ method: 'hpo', rewards: [entry] }, { source: 'test' }).rewards);
}
async function scores(count: number, entry: Readonly<Record<string, unknown>>, options = {}) {
  const { total } = await computeRewards(targets(count), await rewardsOf(entry), options);
  return [...total];
}
const lengths = ({ completions }: Asked) => completions.map((text) => text.length);

it('is asked for batches, and answers in their order', async () => {
  const { url, asked } = await serve((body, response) => json(response, lengths(body)));
  expect(await scores(7, { url, batch_size: 3, parallel: 2 })).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(asked.map(({ prompts }) => prompts.length).toSorted((a, b) => a - b)).toEqual([1, 3, 3]);
  expect(new Set(asked.flatMap(({ prompts }) => prompts)).size).toBe(7);
});

it.each(['scores', 'rewards'])('may answer with a list under %s', async (key) => {
  const { url } = await serve((body, response) => json(response, { [key]: lengths(body) }));
  expect(await scores(2, { url })).toEqual([0, 1]);
});

it('is asked again after what may pass', async () => {
  const { url, asked } = await serve((body, response, count) => {
    if (count === 1) json(response, { detail: 'warming up' }, 503);
    else if (count === 2) response.destroy();
    else json(response, lengths(body));
  });
  expect(await scores(2, { url })).toEqual([0, 1]);
  expect(asked.length).toBe(3);
});

it('waits as long as the server asks for', async () => {
  const { url } = await serve((body, response, count) => {
    if (count === 1) response.writeHead(429, { 'retry-after': '1' }).end();
    else json(response, lengths(body));
  });
  const began = performance.now();
  expect(await scores(1, { url })).toEqual([0]);
  expect(performance.now() - began).toBeGreaterThan(990);
});

it('gives up with a sentence', async () => {
  const busy = await serve((_, response) => json(response, { detail: 'no memory' }, 500));
  await expect(scores(1, { url: busy.url, name: 'safety', retries: 1 })).rejects.toThrow(
    `reward safety: ${busy.url} answers 500 ({"detail":"no memory"}) (2 attempts); look at the server’s log`,
  );
  expect(busy.asked.length).toBe(2);
  const away = await serve(() => {});
  closing.splice(0).forEach((close) => close());
  const refused = scores(1, { url: away.url, retries: 0 });
  await expect(refused).rejects.toThrow(PrefgradError);
  await expect(refused).rejects.toThrow(/can not be reached \(.*ECONNREFUSED.*\); is the server running\?/);
  const slow = await serve(() => {});
  await expect(scores(1, { url: slow.url, timeout: 0.1, retries: 0 })).rejects.toThrow(
    'gave no answer within 0.1 s; allow it more time (timeout), or give it less at once (batch_size)',
  );
});

it('is not asked again after a mistake', async () => {
  const { url, asked } = await serve((_, response) => json(response, 'no such model', 404));
  await expect(scores(1, { url })).rejects.toThrow(
    `${url} answers 404 ("no such model"); is the address right?`,
  );
  expect(asked.length).toBe(1);
});

const answers: [string, string, string][] = [
  ['no JSON', 'OK', 'answers with no list of numbers (OK)'],
  ['no list', '{"score": 1}', 'answers with no list of numbers ({"score": 1})'],
  ['too few', '[1]', 'answers with a list of 1, expected a JSON list of 2 numbers'],
  ['a hole', '[1, null]', 'reward score: gives null at rows.jsonl:2, expected a finite number'],
];
it.each(answers)('says what is wrong with an answer: %s', async (_what, text, sentence) => {
  const { url } = await serve((_body, response) => response.end(text));
  await expect(scores(2, { url })).rejects.toThrow(sentence);
});

it('sends a token from the environment', async () => {
  const { url } = await serve((body, response, _, token) =>
    token === 'Bearer s3cret' ? json(response, lengths(body)) : json(response, null, 401),
  );
  await expect(scores(1, { url, token_env: 'PREFGRAD_TEST_TOKEN' })).rejects.toThrow(
    'reward score: the environment variable PREFGRAD_TEST_TOKEN (token_env) is not set',
  );
  process.env['PREFGRAD_TEST_TOKEN'] = 's3cret';
  expect(await scores(1, { url, token_env: 'PREFGRAD_TEST_TOKEN' })).toEqual([0]);
  delete process.env['PREFGRAD_TEST_TOKEN'];
});

it('is asked once per text over runs, until its version changes', async () => {
  const { url, asked } = await serve((body, response) => json(response, lengths(body)));
  const cache = memoryCache();
  const texts = () => asked.reduce((sum, { prompts }) => sum + prompts.length, 0);
  await scores(3, { url }, { cache });
  await scores(5, { url }, { cache });
  expect(texts()).toBe(5);
  await scores(2, { url, version: 2 }, { cache });
  expect(texts()).toBe(7);
  await scores(2, { url, cache: false }, { cache });
  expect(texts()).toBe(9);
});

it('stops between two requests, and between two attempts', async () => {
  const controller = new AbortController();
  const { url, asked } = await serve((_, response) => {
    json(response, null, 503);
    controller.abort(new Error('enough'));
  });
  const began = performance.now();
  await expect(scores(2, { url, retries: 9 }, { signal: controller.signal })).rejects.toThrow('enough');
  expect(asked.length).toBe(1);
  expect(performance.now() - began).toBeLessThan(2000);
});

it('has options that are checked', () => {
  const mistake = (entry: object) => () =>
    parseSettings({ method: 'hpo', rewards: [entry] }, { source: 'test' });
  expect(mistake({ url: 'localhost:80' })).toThrow('rewards[0].url: got "localhost:80", expected an http://');
  expect(mistake({ url: 'http://x', batchSiez: 3 })).toThrow('did you mean batch_size?');
  expect(mistake({ url: 'http://x', retries: -1 })).toThrow('rewards[0].retries: got -1, expected');
  expect(mistake({ url: 'http://x', module: 'a.mjs' })).toThrow('rewards[0]: has module and url; a reward');
});
