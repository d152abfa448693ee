// @ts-check
// Runs in the report's page, after uPlot: draws each chart of the JSON beside it, again when the colours change.
(() => {
  /** @typedef {{ label: string, colour: number, dashed?: boolean, points?: boolean, x: number[], y: (number | null)[] }} Series */
  /** @typedef {{ title: string, series: Series[], marks: { x: number, label: string }[], scale: string, percent: boolean }} Chart */

  const dark = matchMedia('(prefers-color-scheme: dark)');
  /** @type {Map<Element, { destroy(): void }>} */
  const drawn = new Map();

  /** @param {string} name */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** @param {number | null | undefined} value @param {boolean} percent */
  function format(value, percent) {
    if (value === null || value === undefined) return '–';
    if (percent) return `${Number((100 * value).toFixed(1))} %`;
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0*e\+?/, 'e');
    if (size >= 1e3) return Math.round(value).toLocaleString('en');
    return String(Number(value.toPrecision(4)));
  }

  /** Room for the widest tick label. @param {string[] | null} labels */
  const axisSize = (labels) => 14 + 7.5 * Math.max(3, ...(labels ?? []).map((label) => label.length));

  /** @param {Chart} chart */
  function marks(chart) {
    return (/** @type {any} */ u) => {
      const { ctx, bbox } = u;
      const ratio = devicePixelRatio;
      ctx.save();
      for (const { x, label } of chart.marks) {
        if (x < u.scales.x.min || x > u.scales.x.max) continue;
        const at = Math.round(u.valToPos(x, 'x', true));
        ctx.strokeStyle = ctx.fillStyle = colour('--muted');
        ctx.lineWidth = ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(at, bbox.top);
        ctx.lineTo(at, bbox.top + bbox.height);
        ctx.stroke();
        ctx.font = `${11 * ratio}px system-ui, sans-serif`;
        ctx.textBaseline = 'top';
        const fits = at + ctx.measureText(label).width + 8 * ratio < bbox.left + bbox.width;
        ctx.textAlign = fits ? 'left' : 'right';
        ctx.fillText(label, at + (fits ? 5 : -5) * ratio, bbox.top + 3 * ratio);
      }
      ctx.restore();
    };
  }

  /** @param {Chart} chart @param {number} width */
  function options(chart, width) {
    const ink = colour('--muted');
    const grid = { stroke: colour('--line'), width: 1 };
    const axis = {
      stroke: ink,
      grid,
      ticks: { ...grid, size: 5 },
      font: '12px system-ui, sans-serif',
      gap: 5,
    };
    const few = Math.max(...chart.series.map(({ x }) => x.length)) <= 40;
    return {
      width,
      height: 220,
      cursor: {
        sync: { key: 'step', scales: ['x', null] },
        drag: { x: true, y: false },
        points: { size: 7 },
      },
      legend: {
        markers: {
          width: 0,
          fill: (/** @type {any} */ u, /** @type {number} */ i) => u.series[i].stroke(u, i),
        },
      },
      scales: {
        x: {
          time: false,
          // all charts show the same steps until one drags a range
          range: (/** @type {any} */ u, /** @type {number} */ low, /** @type {number} */ high) =>
            low === u.data[0][0] && high === u.data[0].at(-1) ? steps : [low, high],
        },
        y: chart.scale === 'log' ? { distr: 3 } : chart.percent ? { range: [-0.02, 1.02] } : {},
      },
      axes: [
        {
          ...axis,
          size: 34,
          space: 56,
          incrs: [1, 2, 5]
            .flatMap((n) => [0, 1, 2, 3, 4, 5, 6].map((p) => n * 10 ** p))
            .toSorted((a, b) => a - b),
        },
        {
          ...axis,
          values: (/** @type {any} */ _, /** @type {(number | null)[]} */ ticks) =>
            ticks.map((tick) => (tick === null ? '' : format(tick, chart.percent))),
          size: (/** @type {any} */ _, /** @type {string[] | null} */ labels) => axisSize(labels),
        },
      ],
      series: [
        {
          label: 'step',
          value: (/** @type {any} */ u, /** @type {number | null} */ step) =>
            String(step ?? u.data[0].at(-1)),
        },
        ...chart.series.map((series) => {
          const stroke = colour(`--series-${series.colour}`);
          return {
            label: series.label,
            stroke,
            width: 2,
            dash: series.dashed ? [7, 4] : undefined,
            points: {
              show: series.points || few,
              size: series.points || series.x.length === 1 ? 8 : 5,
              fill: stroke,
              stroke,
            },
            // away from the cursor the legend has each curve's last value
            value: (
              /** @type {any} */ _,
              /** @type {number | null} */ value,
              /** @type {number} */ __,
              /** @type {number | null} */ at,
            ) => format(at === null ? series.y.findLast((y) => y !== null) : value, chart.percent),
          };
        }),
      ],
      hooks: { draw: [marks(chart)] },
    };
  }

  /** @param {Element} place @param {Chart} chart */
  function draw(place, chart) {
    drawn.get(place)?.destroy();
    if (place.clientWidth === 0) return; // in a closed <details>: its resize comes when it opens
    // @ts-expect-error uPlot is a global, from the script before this one
    const plotted = new uPlot(
      options(chart, place.clientWidth),
      uPlot.join(chart.series.map(({ x, y }) => [x, y])),
      place,
    );
    drawn.set(place, plotted);
  }

  /** @type {Chart[]} */
  const charts = JSON.parse(document.getElementById('charts')?.textContent ?? '[]');
  const all = charts.flatMap(({ series }) => series.flatMap(({ x }) => x));
  const [first, last] = all.reduce(
    ([low, high], x) => [Math.min(low, x), Math.max(high, x)],
    [Infinity, -Infinity],
  );
  const steps = first === last ? [first - 1, last + 1] : [first, last];
  const places = [...document.querySelectorAll('[data-chart]')];
  const redraw = (/** @type {Element} */ place) =>
    draw(place, charts[Number(place.getAttribute('data-chart'))]);

  const widths = new Map(places.map((place) => [place, place.clientWidth]));
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (widths.get(target) === target.clientWidth) continue;
      widths.set(target, target.clientWidth);
      setTimeout(() => redraw(target)); // drawing changes heights, which must not happen in here
    }
  });
  for (const place of places) {
    redraw(place);
    resized.observe(place);
  }
  dark.addEventListener('change', () => places.forEach(redraw));
})();
