export { CurrentUser } from '@loopstack/shared';
