export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where a part says what a person may want to know; never used for control. */
export interface Logger {
  log(level: LogLevel, part: string, message: string): void;
}

export const silentLogger: Logger = { log() {} };
