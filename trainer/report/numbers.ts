// How people read numbers: in the report, and on the command line, which uses the same words.

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** At most four significant digits: `0.6931`, `12.4`, `1,204`, `5e-7`, `-18.57`; a dash for null, undefined or NaN. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  if (size === Infinity) return value > 0 ? '∞' : '-∞';
  if (size >= 1e9) return value.toExponential(2).replace('e+', 'e');
  if (size >= 999.95) return grouped.format(value);
  if (size !== 0 && size < 9.995e-4) return Number(value.toPrecision(3)).toExponential();
  return String(Number(value.toPrecision(4)));
}

/** Numbers that are read together, with the same number of decimals: `0.41` and `0.80`. */
export function formatAlike(values: readonly (number | null | undefined)[]): string[] {
  const finite = values.filter(
    (value): value is number => typeof value === 'number' && Number.isFinite(value),
  );
  const sizes = finite.map((value) => Math.abs(value)).filter((size) => size > 0);
  const texts = finite.map(formatNumber);
  const alone =
    sizes.some((size) => size > 1e4 * Math.min(...sizes)) || texts.some((text) => /[e,]/.test(text));
  if (alone) return values.map(formatNumber);
  const whole = Math.floor(Math.max(...sizes, 1)).toString().length;
  const decimals = Math.min(
    Math.max(...texts.map((text) => text.split('.')[1]?.length ?? 0)),
    Math.max(5 - whole, 0),
  );
  return values.map((value) =>
    typeof value === 'number' && Number.isFinite(value) ? value.toFixed(decimals) : formatNumber(value),
  );
}

/** A change with its sign: `+0.12`, `-3`, `±0`. */
export function formatChange(value: number): string {
  const text = formatNumber(value);
  return text === '0' ? '±0' : value > 0 ? `+${text}` : text;
}

/** A fraction as percent: `61.2 %`. */
export function formatPercent(fraction: number | null | undefined): string {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return '–';
  return `${(100 * fraction).toFixed(1)} %`;
}

/** `830 B`, `12.4 MiB`, `1.61 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1023.5 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Parameters and tokens: `135M`, `1.07M`, `260K`, `812`. */
export function formatCount(count: number): string {
  for (const [size, unit] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'K'],
  ] as const) {
    if (count >= 0.9995 * size) return `${Number((count / size).toPrecision(3))}${unit}`;
  }
  return String(count);
}

/** `0:07`, `12:34`, `1:02:03`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Whole numbers with separators: `49,152`. */
export function formatInteger(value: number): string {
  return grouped.format(value);
}
