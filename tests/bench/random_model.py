"""Writes a GGUF model with the shapes of Llama 3.2 3B and random weights in Q4_0 blocks.

What it says is noise; what it costs is what a real model of that size costs. Vocabulary and tokenizer are those of the
model given, which also keeps the file a little smaller (49,152 tokens instead of 128,256).

Usage: random_model.py <tokenizer.gguf> <out.gguf>
"""

import os
import sys

import gguf
import numpy as np

LAYERS = 28
WIDTH = 3072
FEED_FORWARD = 8192
HEADS = 24
KV_HEADS = 8
HEAD_WIDTH = 128
# Short enough that two servers with four conversations each fit into 16 GB.
CONTEXT = 8192

# A Q4_0 block: 32 weights as one half-precision scale and 32 values of 4 bits, from -8 to 7 times the scale.
BLOCK_WEIGHTS = 32
# Gives weights a standard deviation of 0.02, as a freshly initialised Llama has.
SCALE_MEAN = 0.02 / 4.6


def tensor_shapes(vocabulary: int):
    yield "token_embd.weight", (vocabulary, WIDTH)
    for layer in range(LAYERS):
        prefix = f"blk.{layer}"
        yield f"{prefix}.attn_norm.weight", (WIDTH,)
        yield f"{prefix}.attn_q.weight", (HEADS * HEAD_WIDTH, WIDTH)
        yield f"{prefix}.attn_k.weight", (KV_HEADS * HEAD_WIDTH, WIDTH)
        yield f"{prefix}.attn_v.weight", (KV_HEADS * HEAD_WIDTH, WIDTH)
        yield f"{prefix}.attn_output.weight", (WIDTH, HEADS * HEAD_WIDTH)
        yield f"{prefix}.ffn_norm.weight", (WIDTH,)
        yield f"{prefix}.ffn_gate.weight", (FEED_FORWARD, WIDTH)
        yield f"{prefix}.ffn_up.weight", (FEED_FORWARD, WIDTH)
        yield f"{prefix}.ffn_down.weight", (WIDTH, FEED_FORWARD)
    yield "output_norm.weight", (WIDTH,)


def make_tensor(shape, random) -> np.ndarray:
    if len(shape) == 1:
        return np.ones(shape, dtype=np.float32)
    rows, columns = shape
    blocks = columns // BLOCK_WEIGHTS
    scales = (SCALE_MEAN * random.uniform(0.5, 1.5, (rows, blocks, 1))).astype(np.float16).view(np.uint8)
    values = random.integers(0, 256, (rows, blocks, BLOCK_WEIGHTS // 2), dtype=np.uint8)
    return np.concatenate([scales, values], axis=2).reshape(rows, -1)


def add_metadata(writer: gguf.GGUFWriter, source: gguf.GGUFReader) -> None:
    writer.add_name("Random 3B")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_rope_freq_base(500000.0)
    for field in source.fields.values():
        if field.name.startswith("tokenizer."):
            sub_type = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub_type)


def main(tokenizer_path: str, out_path: str) -> None:
    source = gguf.GGUFReader(tokenizer_path)
    vocabulary = len(source.fields["tokenizer.ggml.tokens"].data)
    writer = gguf.GGUFWriter(out_path, "llama")
    add_metadata(writer, source)
    for name, shape in tensor_shapes(vocabulary):
        if len(shape) == 1:
            writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * shape[0])
        else:
            size = shape[0] * shape[1] // BLOCK_WEIGHTS * 18
            byte_shape = (shape[0], size // shape[0])
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor_info(name, byte_shape, np.dtype(np.uint8), size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(1)
    for _, shape in tensor_shapes(vocabulary):
        writer.write_tensor_data(make_tensor(shape, random))
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] + ".part")
    os.replace(sys.argv[2] + ".part", sys.argv[2])
