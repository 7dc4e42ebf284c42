// The microphone as frames of 32 ms at 16 kHz; silence while it is closed, so that the agent's clock goes on.
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
    this.port.onmessage = (event) => { this.open = event.data; };
  }

  process(inputs) {
    const heard = inputs[0][0];
    for (const sample of this.resampler.push(this.open && heard ? heard : SILENCE)) {
      this.frame[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame, [this.frame.buffer]);
        this.frame = new Int16Array(FRAME);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
