// The browser's microphone and speaker. It knows no server: frames go to `onFrame`, reports of the playout to `onPlayed`.

const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const RATE_HZ = 16000;

export async function openAudio(onFrame, onPlayed, onLost) {
  if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
  let opened;
  try {
    opened = await connect(stream, { sampleRate: RATE_HZ, latencyHint: "interactive" });
  } catch {
    opened = await connect(stream, { latencyHint: "interactive" }); // the worklets resample then
  }
  const { context, capture, playback } = opened;
  capture.port.onmessage = (event) => onFrame(event.data);
  playback.port.onmessage = ({ data }) => onPlayed(data.first, data.end, heardAtMs(context, data.time));
  stream.getAudioTracks()[0].onended = onLost;
  return {
    setOpen: (open) => capture.port.postMessage(open),
    play: (position, pcm) => playback.port.postMessage({ type: "chunk", position, pcm }),
    control: (type) => playback.port.postMessage({ type }),
    close: () => {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
    },
  };
}

async function connect(stream, options) {
  const context = new AudioContext(options);
  try {
    await Promise.all(["capture", "playback"].map((name) => context.audioWorklet.addModule(`page/${name}-worklet.js`)));
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    context.createMediaStreamSource(stream).connect(capture);
    const playback = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    playback.connect(context.destination);
    await context.resume();
    return { context, capture, playback };
  } catch (error) {
    context.close();
    throw error;
  }
}

// The page's clock when what is rendered at `time` of the context leaves the device, as far as the browser knows.
function heardAtMs(context, time) {
  const output = context.getOutputTimestamp ? context.getOutputTimestamp() : {};
  if (output.performanceTime > 0 && output.contextTime > 0) return output.performanceTime + (time - output.contextTime) * 1000;
  const latency = context.outputLatency || context.baseLatency || 0;
  return performance.now() + (time - context.currentTime + latency) * 1000;
}

export function audioProblem(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser does not give this page the microphone. Allow it (the icon beside the address), then press Talk again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Plug one in or choose one in the system's sound settings, then press Talk again.";
    case "NotReadableError":
      return "The microphone is there but cannot be opened. Close what else uses it, then press Talk again.";
    case "InsecureContext":
      return "Browsers give the microphone only to pages on this machine or over TLS. Open http://localhost:… through an SSH tunnel, or use https.";
    default:
      return `The sound could not be started (${error.name}: ${error.message}). Reload the page and try again.`;
  }
}
