// Plays what the server sends, behind a small jitter buffer, and reports what was played and when. Pausing and clearing
// fade out within one render quantum. Positions count samples at 16 kHz.
import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const JITTER_S = 0.06; // a late packet within this is not heard
const REPORT_S = 0.1;
const QUANTUM = 128; // frames of a call of `process`

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE_HZ, sampleRate);
    this.frame = currentFrame - QUANTUM; // of the context, at the start of the present quantum
    this.queue = []; // {first, end, samples, read}
    this.next = []; // what came after a clear that is still fading out
    this.startFrame = null; // when the first of the queue shall sound; null while nothing is due
    this.playing = false;
    this.paused = false;
    this.dropping = false;
    this.run = null; // {first, end, time} played without a gap since the last report
    this.port.onmessage = (event) => this.take(event.data);
  }

  take(message) {
    switch (message.type) {
      case "chunk": return this.add(message);
      case "pause": this.paused = true; return undefined;
      case "resume": this.paused = false; this.startFrame = 0; return undefined;
      case "clear": return this.clear();
    }
  }

  add({ position, pcm }) {
    const samples = this.resampler.push(Float32Array.from(pcm, (value) => value / 32768));
    const queue = this.dropping ? this.next : this.queue;
    queue.push({ first: position, end: position + pcm.length, samples, read: 0 });
    if (!this.playing && this.startFrame === null) this.startFrame = this.frame + JITTER_S * sampleRate;
  }

  clear() {
    this.dropping = this.playing; // one more quantum, fading
    this.paused = false;
    this.resampler.reset();
    if (!this.playing) this.drop();
  }

  drop() {
    this.queue = this.next;
    this.next = [];
    this.dropping = false;
    this.startFrame = this.queue.length ? this.frame + JITTER_S * sampleRate : null;
  }

  process(_, outputs) {
    const out = outputs[0][0];
    // Chromium leaves `currentFrame` where it was in a quantum during which the main thread holds the audio graph.
    this.frame = Math.max(currentFrame, this.frame + QUANTUM);
    const stopping = this.paused || this.dropping;
    const due = this.startFrame !== null && this.frame >= this.startFrame;
    if (this.playing || (due && !this.paused)) this.play(out, stopping);
    return true;
  }

  play(out, stopping) {
    const starting = !this.playing;
    let filled = 0;
    while (filled < out.length && this.queue.length) filled += this.copy(out, filled);
    for (let i = 0; i < filled; i++) {
      if (stopping) out[i] *= 1 - i / out.length;
      else if (starting) out[i] *= i / out.length;
    }
    this.playing = !stopping && this.queue.length > 0;
    if (!this.playing) {
      this.report();
      if (this.dropping) this.drop();
      else if (!this.paused) this.startFrame = null;
    } else if (this.run && this.frame / sampleRate - this.run.time > REPORT_S) {
      this.report();
    }
  }

  copy(out, at) {
    const chunk = this.queue[0];
    const count = Math.min(out.length - at, chunk.samples.length - chunk.read);
    out.set(chunk.samples.subarray(chunk.read, chunk.read + count), at);
    const position = (read) => chunk.first + Math.round(((chunk.end - chunk.first) * read) / (chunk.samples.length || 1));
    const first = position(chunk.read);
    chunk.read += count;
    const whole = chunk.read >= chunk.samples.length;
    this.note(first, whole ? chunk.end : position(chunk.read), (this.frame + at) / sampleRate);
    if (whole) this.queue.shift();
    return count;
  }

  note(first, end, time) {
    if (this.run && this.run.end !== first) this.report();
    if (this.run) this.run.end = end;
    else this.run = { first, end, time };
  }

  report() {
    if (this.run && this.run.end > this.run.first) this.port.postMessage(this.run);
    this.run = null;
  }
}

registerProcessor("playback", Playback);
