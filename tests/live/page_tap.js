// For the tests: what the page's microphone gives and its loudspeaker gets, sample by sample in the context's time, and
// where the context's clock stood at which time of the page's. Worklets of a data: address need a page without its
// content security policy.
const WORKLET = `
  class Tap extends AudioWorkletProcessor {
    process([[user], [agent]]) {
      this.port.postMessage([currentFrame, ...[user, agent].map((side) => Array.from(side ?? new Float32Array(128)))]);
      return true;
    }
  }
  registerProcessor("tap", Tap);`;
const { connect } = AudioNode.prototype;
const { addModule } = Worklet.prototype;
const taps = new Map();
window.tapped = []; // [frame of the context, microphone, loudspeaker] for each render quantum
window.clocks = []; // [the page's clock, the context's, what leaves the device]: in ms

Worklet.prototype.addModule = async function (...given) {
  await addModule.call(this, `data:text/javascript,${encodeURIComponent(WORKLET)}`);
  return addModule.apply(this, given);
};

AudioNode.prototype.connect = function (to, ...rest) {
  if (this instanceof MediaStreamAudioSourceNode) connect.call(this, tap(this.context), 0, 0);
  else if (to === this.context.destination) connect.call(this, tap(this.context), 0, 1);
  return connect.call(this, to, ...rest);
};

function tap(context) {
  if (!taps.has(context)) {
    const node = new AudioWorkletNode(context, "tap", { numberOfInputs: 2, numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => tapped.push(data);
    taps.set(context, node);
    window.context = context;
    setInterval(() => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      const page = performance.now();
      clocks.push([page, context.currentTime * 1000, contextTime * 1000 + page - performanceTime]);
    }, 10);
  }
  return taps.get(context);
}
