// Changes the sampling rate of a stream, piece by piece: a windowed sinc, low enough that nothing folds back.
// It knows no audio device.

const HALF_WIDTH = 12; // zero crossings on each side: what is left of an alias lies 60 dB below

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.cutoff = Math.min(1, toHz / fromHz);
    this.reach = Math.ceil(HALF_WIDTH / this.cutoff);
    this.reset();
  }

  reset() {
    this.kept = new Float32Array(this.reach); // silence before the first sample
    this.at = this.reach; // where in `kept` the next output sample lies
  }

  push(samples) {
    if (this.step === 1) return samples;
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    const out = [];
    for (; this.at + this.reach < all.length; this.at += this.step) out.push(this.sampleAt(all, this.at));
    const from = Math.max(0, Math.floor(this.at) - this.reach);
    this.kept = all.slice(from);
    this.at -= from;
    return Float32Array.from(out);
  }

  sampleAt(all, at) {
    const middle = Math.floor(at);
    let sum = 0;
    for (let i = middle - this.reach + 1; i <= middle + this.reach; i++) {
      const distance = i - at;
      const x = Math.PI * distance * this.cutoff;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / this.reach);
      if (i >= 0 && i < all.length && Math.abs(distance) < this.reach) sum += all[i] * sinc * window;
    }
    return sum * this.cutoff;
  }
}
