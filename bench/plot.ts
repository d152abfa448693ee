/** A bar of a plot; `ours` are drawn in another colour. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  readonly ours: boolean;
}

const [WIDTH, ROW, LABELS, VALUES] = [760, 24, 330, 70];

const escape = (text: string): string => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Horizontal bars as an SVG that is legible on a light and on a dark page. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map((b) => b.value));
  const room = WIDTH - LABELS - VALUES;
  const height = ROW * (bars.length + 1) + 10;
  const lines = bars.flatMap(({ label, value, text, ours }, i) => {
    const y = ROW * (i + 1) + 6;
    const width = Math.max(1, (room * value) / most).toFixed(1);
    return [
      `<text x="${LABELS - 8}" y="${y + 15}" text-anchor="end">${escape(label)}</text>`,
      `<rect x="${LABELS}" y="${y + 3}" width="${width}" height="${ROW - 7}" fill="${ours ? '#3b82f6' : '#9ca3af'}"/>`,
      `<text x="${LABELS + Number(width) + 6}" y="${y + 15}">${escape(text)}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#6b7280">`,
    `<text x="8" y="18" font-weight="bold">${escape(title)}</text>`,
    ...lines,
    '</svg>\n',
  ].join('\n');
}
