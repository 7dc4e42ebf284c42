// The microphone as frames of 32 ms at 16 kHz; silence while it is closed or its sound is missing, so that the agent's
// clock goes on.
import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const FRAME = 512; // the window in which voice activity is judged
const SILENCE = new Float32Array(128);

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.open = false;
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.port.onmessage = (event) => this.take(event.data);
  }

  take(message) {
    switch (message.type) {
      case "open": this.open = message.open; return undefined;
      case "missing": return this.push(new Float32Array(Math.round(message.seconds * RATE_HZ)));
    }
  }

  process(inputs) {
    const heard = inputs[0][0];
    this.push(this.resampler.push(this.open && heard ? heard : SILENCE));
    return true;
  }

  push(samples) {
    for (const sample of samples) {
      this.frame[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame, [this.frame.buffer]);
        this.frame = new Int16Array(FRAME);
        this.filled = 0;
      }
    }
  }
}

registerProcessor("capture", Capture);
