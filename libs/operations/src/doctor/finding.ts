/** What one check found, and what to do about it. */
export interface Finding {
  readonly check: string;
  /** `unknown`: it could not be found out. */
  readonly status: 'ok' | 'warning' | 'problem' | 'unknown';
  readonly message: string;
  readonly fix?: string;
}

export const ok = (check: string, message: string): Finding => ({ check, status: 'ok', message });
export const warning = (check: string, message: string, fix: string): Finding => ({ check, status: 'warning', message, fix });
export const problem = (check: string, message: string, fix: string): Finding => ({ check, status: 'problem', message, fix });
export const unknown = (check: string, message: string, fix: string): Finding => ({ check, status: 'unknown', message, fix });
