// TensorBoard's event files, of which scalars need this much: a file is a list of records (length, its CRC, bytes,
// their CRC), a record's bytes are an Event in protobuf (tensorflow/core/util/event.proto, summary.proto). The one
// package that writes them in Node, tfjs-node, is a binding to TensorFlow's C library.

export interface EventContent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number;
  /** `brain.Event:2` in a file's first record. */
  readonly fileVersion?: string;
  /** Values by tag. */
  readonly scalars?: ReadonlyMap<string, number>;
}

/** One record of an event file. */
export function eventRecord(event: EventContent): Uint8Array<ArrayBuffer> {
  const data = encodeEvent(event);
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** The whole records at the start of a file: where each ends, and its step (0 where it names none). */
export function* readRecords(bytes: Uint8Array): Generator<{ end: number; step: number; data: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    const end = at + 16 + length;
    if (view.getUint32(at + 8, true) !== maskedCrc(bytes.subarray(at, at + 8)) || end > bytes.length) return;
    const data = bytes.subarray(at + 12, at + 12 + length);
    if (view.getUint32(end - 4, true) !== maskedCrc(data)) return;
    yield { end, step: stepOf(data), data };
    at = end;
  }
}

function encodeEvent({ wallTime, step, fileVersion, scalars }: EventContent): Uint8Array {
  const fields = [double(1, wallTime)];
  if (step !== undefined) fields.push(key(2, 0), varint(step));
  if (fileVersion !== undefined) fields.push(bytesField(3, utf8(fileVersion)));
  if (scalars !== undefined) {
    const values = [...scalars].map(([tag, value]) =>
      bytesField(1, concat([bytesField(1, utf8(tag)), float(2, value)])),
    );
    fields.push(bytesField(5, concat(values)));
  }
  return concat(fields);
}

/** Of an event that `encodeEvent` wrote: nine bytes of wall time come first. */
function stepOf(data: Uint8Array): number {
  if (data[9] !== 0x10) return 0;
  let [step, scale] = [0, 1];
  for (let at = 10; ; at++, scale *= 128) {
    const byte = data[at] ?? 0;
    step += (byte & 127) * scale;
    if (byte < 128) return step;
  }
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const key = (field: number, wire: number) => Uint8Array.of((field << 3) | wire);
const bytesField = (field: number, content: Uint8Array) =>
  concat([key(field, 2), varint(content.length), content]);

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.of(...bytes, value);
}

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return concat([key(field, 1), bytes]);
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([key(field, 5), bytes]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** CRC-32C (Castagnoli), reflected. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 255] ?? 0);
  return ~crc >>> 0;
}

/** Rotated and offset, as TensorFlow stores it. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
