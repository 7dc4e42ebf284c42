"""A language model of a few hundred kilobytes with random weights, as GGUF: it talks nonsense in words and sentences.

It stands in where a real server is tried without a real model. Layout: the Llama architecture of llama.cpp with a
SentencePiece vocabulary (gguf's constants name both).
"""

import sys
from pathlib import Path

import numpy as np

_WORDS = """the a an is are was it this that and or but of in on at to for with from by as not no yes we you they he she
can will would should must has have do does sun moon river city music weather train light water stone bread paper house
road tree bird fish cloud wind rain snow hill sea boat door window table chair clock voice song word letter number
old new warm cold bright dark slow fast small large good fine clear deep high low early late near far""".split()
_WIDTH, _HEADS, _LAYERS, _FEED_FORWARD, _CONTEXT = 64, 4, 2, 128, 2048


def write_tiny_gguf(path: Path, seed: int = 7) -> None:
    """Write the model. Needs the `gguf` package."""
    import gguf

    random = np.random.default_rng(seed)
    tokens, scores, types = _vocabulary(gguf)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny-nonsense")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float32))

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(_WIDTH, np.float32))

    embedding = random.normal(0, 0.3, (len(tokens), _WIDTH)).astype(np.float32)
    output = random.normal(0, 0.02, (len(tokens), _WIDTH)).astype(np.float32)
    embedding[:, 0] = 3.0  # large and the same for every token, so that ...
    output[:, 0] = [_how_common(token) for token in tokens]  # ... this is a bias, which the architecture has none of
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    ones("output_norm.weight")
    for layer in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", _WIDTH, _WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", _FEED_FORWARD, _WIDTH)
        add(f"blk.{layer}.ffn_up.weight", _FEED_FORWARD, _WIDTH)
        add(f"blk.{layer}.ffn_down.weight", _WIDTH, _FEED_FORWARD)
        ones(f"blk.{layer}.attn_norm.weight")
        ones(f"blk.{layer}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_COMMON = {b".": 0.08, b"</s>": 0.05}
"""A sentence ends after a dozen words, an answer after two or three sentences."""


def _how_common(token: bytes) -> float:
    """What is no word hardly occurs."""
    return _COMMON.get(token, 0.0 if token.decode()[0] == "\u2581" and len(token) > 3 else -0.5)


def _vocabulary(gguf: object) -> tuple[list[bytes], list[float], list[int]]:
    """Special tokens, all bytes, words with the space before them, and a full stop that is common."""
    from gguf import TokenType

    tokens = [b"<unk>", b"<s>", b"</s>"]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    for byte in range(256):
        tokens.append(f"<0x{byte:02X}>".encode())
        types.append(TokenType.BYTE)
    pieces = [*(f"\u2581{word}" for word in _WORDS), *"abcdefghijklmnopqrstuvwxyz", "\u2581", ".", "?", ","]
    tokens += [piece.encode() for piece in pieces]
    types += [TokenType.NORMAL] * len(pieces)
    return tokens, [-float(n) for n in range(len(tokens))], [int(kind) for kind in types]


if __name__ == "__main__":
    write_tiny_gguf(Path(sys.argv[1]))
