export * from './contract.js';
export * from './public.js';
