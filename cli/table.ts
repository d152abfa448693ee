/** A plain table: columns padded to their widest cell and two spaces apart; all but the first may be right-aligned. */
export function formatTable(
  rows: readonly (readonly string[])[],
  options: { right?: readonly number[] } = {},
): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  return rows
    .map((row) =>
      widths
        .map((width, i) =>
          options.right?.includes(i) ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
