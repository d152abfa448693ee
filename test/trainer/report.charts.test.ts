import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import chartsScript from '../../trainer/report/charts.js?raw';
import { chartGroups } from '../../trainer/report/charts.ts';
import { emptyRecord } from '../../trainer/report/record.ts';
import { exampleRecord } from './exampleRun.ts';

describe('chartGroups', () => {
  it('averages a long run into few points and lets no gap vanish', () => {
    const record = emptyRecord();
    for (let step = 1; step <= 10_000; step++) record.lines.push({ step, loss: step === 5000 ? null : step });
    const [{ x, y }] = chartGroups(record)[0].charts[0].series;
    expect([x.length, x.at(-1), y[0], y.filter((value) => value === null).length]).toEqual([
      400, 10_000, 13, 1,
    ]);
  });

  it('has every metric of the lines somewhere', () => {
    const record = exampleRecord();
    record.lines.push({ step: 121, 'my/metric': 3 });
    const further = chartGroups(record).find(({ title }) => title === 'Further metrics');
    expect(further?.charts.map(({ title }) => title)).toEqual([
      'entropy',
      'eval_margin',
      'my/metric',
      'step_time',
    ]);
  });

  it('is logarithmic only over more than two decades, and never with zeros', () => {
    const scaleOf = (values: number[]) => {
      const record = emptyRecord();
      record.lines = values.map((grad_norm, step) => ({ step, grad_norm }));
      return chartGroups(record)[0].charts[0].scale;
    };
    expect([scaleOf([1, 1000]), scaleOf([1, 50]), scaleOf([0, 1000])]).toEqual(['log', 'linear', 'linear']);
  });
});

it('charts.js draws each chart it is given a place for, and again when the colours change', () => {
  const drawn: { width: number; series: number; steps: unknown }[] = [];
  let destroyed = 0;
  class uPlot {
    static join = (tables: number[][][]) => tables[0];
    constructor(
      options: {
        width: number;
        series: unknown[];
        scales: { x: { range: (u: unknown, a: number, b: number) => unknown } };
      },
      data: number[][],
    ) {
      const steps = options.scales.x.range({ data }, data[0][0], data[0][data[0].length - 1]);
      drawn.push({ width: options.width, series: options.series.length, steps });
    }
    destroy() {
      destroyed++;
    }
  }
  const places = [400, 0].map((clientWidth, i) => ({ clientWidth, getAttribute: () => String(i) }));
  let resized: (entries: { target: unknown }[]) => void = () => {};
  let themed = () => {};
  const chart = { title: '', marks: [], scale: 'linear', percent: false };
  runInNewContext(chartsScript, {
    uPlot,
    matchMedia: () => ({ addEventListener: (_: string, listener: () => void) => (themed = listener) }),
    getComputedStyle: () => ({ getPropertyValue: () => ' #000' }),
    setTimeout: (work: () => void) => work(),
    ResizeObserver: class {
      constructor(callback: typeof resized) {
        resized = callback;
      }
      observe() {}
    },
    document: {
      documentElement: {},
      getElementById: () => ({
        textContent: JSON.stringify([
          { ...chart, series: [{ label: 'a', colour: 1, x: [5, 10], y: [1, 2] }] },
          { ...chart, series: [{ label: 'b', colour: 2, x: [0, 20], y: [1, 2] }] },
        ]),
      }),
      querySelectorAll: () => places,
    },
  });
  expect(drawn).toEqual([{ width: 400, series: 2, steps: [0, 20] }]); // the other lies in a closed <details>
  resized(places.map((target) => ({ target })));
  expect(drawn).toHaveLength(1); // the same widths
  places[1].clientWidth = 300;
  resized([{ target: places[1] }]);
  expect(drawn.at(-1)?.width).toBe(300);
  themed();
  expect([drawn.length, destroyed]).toEqual([4, 2]);
});
