export { asyncApi, type AsyncApiDocument, type AsyncApiInfo } from './asyncapi.js';
export { jsonSchemas } from './json-schemas.js';
export { typescriptClient } from './typescript-client.js';
export { COMMAND_HEADERS, DEAD_LETTER_HEADERS, RUN_EVENT } from './wire-schema.js';
