// The socket of one conversation: text is JSON, binary is PCM with the position of its first sample before it.

const HEADER_BYTES = 8;
const UNSENT_BYTES = 128000; // four seconds of speech: what arrives later is of no use to a conversation
const TOO_SLOW = "the network is too slow for your voice";

export function connect(token, { onText, onAudio, onClosed }) {
  return new Promise((resolve, reject) => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws${token}`);
    socket.binaryType = "arraybuffer";
    let welcome = null;
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") {
        onAudio(new DataView(data).getFloat64(0, true), new Int16Array(data, HEADER_BYTES));
        return;
      }
      const message = JSON.parse(data);
      if (message.type === "ping") return send(socket, { type: "pong", number: message.number, at_ms: performance.now() });
      if (message.type === "welcome") {
        welcome = message;
        resolve({
          session: message.session,
          sendText: (text) => send(socket, text),
          sendAudio: (pcm) => {
            if (socket.bufferedAmount > UNSENT_BYTES) socket.close(4000, TOO_SLOW);
            else if (socket.readyState === WebSocket.OPEN) socket.send(pcm.buffer);
          },
          close: () => socket.close(1000),
        });
      }
      onText(message);
    };
    socket.onclose = (event) => {
      const problem = closed(event);
      if (welcome) onClosed(problem);
      else reject(new Error(problem));
    };
  });
}

function send(socket, message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function closed(event) {
  if (event.code === 1013) return `The server is busy: ${event.reason}.`;
  if (event.code === 4000) return `The conversation was ended: ${TOO_SLOW}. Use a faster network, then press Talk again.`;
  if (event.reason) return `The server ended the conversation: ${event.reason}.`;
  return "The connection to the server is lost. See that quickturn web is still running, then press Talk again.";
}
