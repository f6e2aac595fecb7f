"""Runs an exported model in ONNX Runtime: model and a JSON list of inputs in, a JSON list of answers out, each input
once alone and once in one batch with all others, padded."""

import json
import sys

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = [value.name for value in session.get_outputs()]
has_factors = "factors" in [value.name for value in session.get_inputs()]


def run(rows):
    longest = max(len(row["tokens"]) for row in rows)
    tokens = numpy.zeros((len(rows), longest), dtype=numpy.int64)
    factors = numpy.zeros((len(rows), longest, 10), dtype=numpy.int64)
    for at, row in enumerate(rows):
        tokens[at, : len(row["tokens"])] = row["tokens"]
        if has_factors:
            factors[at, : len(row["tokens"])] = row["factors"]
    inputs = {"tokens": tokens, "factors": factors} if has_factors else {"tokens": tokens}
    outputs = dict(zip(names, session.run(names, inputs)))
    return [
        {
            "masked": outputs["masked"][at, : len(row["tokens"])].flatten().tolist(),
            "distance": float(outputs["distance"][at]),
            "categories": outputs["categories"][at].tolist() if "categories" in outputs else [],
        }
        for at, row in enumerate(rows)
    ]


with open(sys.argv[2], encoding="utf-8") as file:
    rows = json.load(file)
together = run(rows)
json.dump([[run([row])[0], batch] for row, batch in zip(rows, together)], sys.stdout)
