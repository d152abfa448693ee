export * from './sync';
export * from './copy';
export * from './gemm';
export * from './gemv';
export * from './micro';
export * from './pack';
export * from './attention';
export * from './elementwise';
