import { PrefgradError } from '../../engine/errors.ts';
import { detectRow } from './detect.ts';
import { JsonText } from './json.ts';
import { Unusable } from './messages.ts';
import { describeNotes, noNotes, type Notes, type Row, type Rows } from './rows.ts';
import { SeenRows } from './seen.ts';
import { runStage, type Entry, type Stage } from './stage.ts';

/**
 * The rows of a JSONL text, or of a JSON array of objects. Rows that can not be used are listed in
 * `leftOut`. Throws a PrefgradError with file and line for malformed JSON, and for a text without a
 * usable row.
 */
export function parseRows(text: string, file: string): Rows {
  return collectRows(runStage([text.replace(/^\uFEFF/, '')], new JsonText(file)), file);
}

/** Rows that a program holds already; `line` in their origins counts them from 1. */
export function rowsFromObjects(objects: readonly unknown[], name = 'rows'): Rows {
  return collectRows(
    objects.map((value, index) => ({ value, line: index + 1 })),
    name,
  );
}

function collectRows(found: Iterable<Entry>, file: string): Rows {
  const notes = noNotes();
  const rows = runStage(found, new RowReader(file, notes));
  if (rows.length === 0) throw noRows(file, notes);
  return { rows, ...notes };
}

export function noRows(file: string, { leftOut }: Notes): PrefgradError {
  const why = leftOut.length === 0 ? 'it holds no rows' : describeNotes('left out', leftOut, 3);
  return new PrefgradError(`${file}: has no row that can be used: ${why}`);
}

/** Values of a file to rows; what can not be used, and what is odd, is noted. */
export class RowReader implements Stage<Entry, Row> {
  constructor(
    private readonly file: string,
    private readonly notes: Notes,
    private readonly seen = new SeenRows(),
    private readonly columns: readonly string[] = [],
  ) {}

  push({ value, line }: Entry): readonly Row[] {
    const origin = { file: this.file, line };
    try {
      const row = detectRow(value, origin, this.columns);
      this.notes.remarks.push(...this.seen.remarks(row));
      return [row];
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      this.notes.leftOut.push({ origin, reason: error.message });
      return [];
    }
  }

  end(): readonly Row[] {
    return [];
  }
}
