// An audio context's clock in terms of the page's. The context's stands still for as long as its sound could not be
// computed in time: what is said and heard then is missing from its samples, and only the page's clock knows of it.

const KEPT = 32; // a reading comes with every captured frame: a second of them
const AGREEING = 3; // a device may be late and catch up; what so many readings agree on has happened
const SHORTEST_MS = 5; // less is jitter, or a sound card's clock that runs at its own pace
const LONGEST_MS = 5000; // more is a computer that slept

export class ContextClock {
  constructor(context) {
    this.context = context;
    this.readings = []; // {context, page}: this time of the context leaves the device at this one of the page, in ms
    this.behindMs = null;
  }

  // Read both clocks; the milliseconds for which the context was found to have stood still.
  read() {
    const now = this.output();
    if (now.context === this.readings.at(-1)?.context) return 0; // frames that waited for a busy page: one reading for all
    this.readings = [...this.readings, now].slice(-KEPT);
    if (this.readings.length < AGREEING) return 0;
    const behindMs = Math.min(...this.readings.slice(-AGREEING).map(({ context, page }) => page - context));
    const stoodMs = behindMs - (this.behindMs ?? behindMs);
    this.behindMs = behindMs;
    return SHORTEST_MS <= stoodMs && stoodMs <= LONGEST_MS ? stoodMs : 0;
  }

  // The page's clock when what is rendered at `time` of the context leaves the device, as far as the browser knows.
  heardAtMs(time) {
    const { context, page } = this.readings.find((reading) => reading.context >= time * 1000) ?? this.output();
    return page + time * 1000 - context;
  }

  output() {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp ? this.context.getOutputTimestamp() : {};
    if (performanceTime > 0 && contextTime > 0) return { context: contextTime * 1000, page: performanceTime };
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    return { context: this.context.currentTime * 1000, page: performance.now() + latency * 1000 };
  }
}
