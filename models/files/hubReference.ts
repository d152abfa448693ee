export interface HubReference {
  /** `owner/name`. */
  readonly id: string;
  readonly revision: string;
}

/** Reads `owner/name` or `owner/name@revision`; undefined for text of another shape. */
export function parseHubReference(reference: string): HubReference | undefined {
  const parts = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?$/.exec(reference);
  if (parts === null || reference.includes('..')) return undefined;
  return { id: parts[1], revision: parts[2] ?? 'main' };
}
