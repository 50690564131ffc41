// Durations and instants in words. Nothing here asks for the time: it is an argument.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const WEEK = 6 * 24 * HOUR;

/** A duration in milliseconds: "18h 30m", "5m", "40s"; nothing is less than none. */
export function duration(milliseconds: number): string {
  const left = Math.max(milliseconds, 0);
  if (left < MINUTE) {
    return `${Math.floor(left / 1000)}s`;
  }
  const minutes = Math.floor(left / MINUTE);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [hours ? `${hours}h` : "", rest ? `${rest}m` : ""].filter(Boolean).join(" ");
}

/** An instant in the browser's zone: with its weekday while that is enough, else with its date. */
export function instant(iso: string, now: number, locale: string, timeZone?: string): string {
  const at = new Date(iso);
  const near = at.getTime() - now < WEEK;
  const day: Intl.DateTimeFormatOptions = near ? { weekday: "short" } : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, {
    ...day,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone,
  }).format(at);
}

/** A clock that goes like the server's, whatever the browser's own says. */
export class Clock {
  private ahead = 0;

  constructor(private readonly own: () => number = Date.now) {}

  /** The server's time came with an answer just now. */
  set(iso: string): void {
    const at = Date.parse(iso);
    if (!Number.isNaN(at)) {
      this.ahead = at - this.own();
    }
  }

  now(): number {
    return this.own() + this.ahead;
  }
}
