"""Embeds as sentence-transformers does, with onnxruntime and tokenizers: a line of JSON with texts in, seconds out."""

import json
import os
import sys
import time

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, tokens_max, batch_tokens, batch_max = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = os.cpu_count()
session = onnxruntime.InferenceSession(f"{folder}/onnx/model_quantized.onnx", options, providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.enable_truncation(tokens_max)
tokenizer.no_padding()


def embed_batch(inputs):
    width = max(len(tokens) for tokens in inputs)
    ids = np.zeros((len(inputs), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(inputs):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    states = session.run(None, feeds)[0]
    sums = (states * mask[..., None]).sum(axis=1)
    vectors = sums / mask.sum(axis=1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


for line in sys.stdin:
    texts = json.loads(line)
    started = time.perf_counter()
    inputs = sorted((encoding.ids for encoding in tokenizer.encode_batch(texts)), key=len, reverse=True)
    size = max(1, min(batch_max, batch_tokens // len(inputs[0])))
    vectors = [vector for start in range(0, len(inputs), size) for vector in embed_batch(inputs[start : start + size])]
    assert len(vectors) == len(texts)
    print(time.perf_counter() - started, flush=True)
