// The browser's microphone and speaker. It knows no server: frames go to `onFrame`, reports of the playout to `onPlayed`.
import { ContextClock } from "./context-clock.js";

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
  const clock = new ContextClock(context);
  capture.port.onmessage = ({ data }) => {
    onFrame(data);
    const missingMs = clock.read();
    if (missingMs) capture.port.postMessage({ type: "missing", seconds: missingMs / 1000 });
  };
  playback.port.onmessage = ({ data }) => onPlayed(data.first, data.end, clock.heardAtMs(data.time));
  stream.getAudioTracks()[0].onended = onLost;
  return {
    setOpen: (open) => capture.port.postMessage({ type: "open", open }),
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
