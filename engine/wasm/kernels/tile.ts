// A binary of its own: the register tile alone, which binaries.ts times before it takes one of the whole.
export { tile } from './micro';
