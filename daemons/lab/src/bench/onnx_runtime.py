"""ONNX Runtime on one thread, for `bench model`: a model and a JSON list of windows in, each a list of passes; then on
each line of standard input `COUNT TOGETHER`: so many windows, so many at a call; out come the CPU seconds."""

import json
import resource
import sys

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = [value.name for value in session.get_outputs()]
with open(sys.argv[2], encoding="utf-8") as file:
    windows = json.load(file)
tokens = numpy.array([[row["tokens"] for row in window] for window in windows], dtype=numpy.int64)
factors = numpy.array([[row["factors"] for row in window] for window in windows], dtype=numpy.int64)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def batches(together):
    for first in range(0, len(windows), together):
        part = slice(first, first + together)
        yield {
            "tokens": tokens[part].reshape(-1, *tokens.shape[2:]),
            "factors": factors[part].reshape(-1, *factors.shape[2:]),
        }


distances = [float(session.run(["distance"], batch)[0][0]) for batch in batches(1)]
print(json.dumps({"version": onnxruntime.__version__, "distances": distances}), flush=True)
for line in sys.stdin:
    count, together = (int(word) for word in line.split())
    ready = list(batches(together))
    begun, done = cpu(), 0
    while done < count:
        for batch in ready:
            session.run(names, batch)
            done += len(batch["tokens"]) // tokens.shape[1]
            if done >= count:
                break
    print((cpu() - begun) / done, flush=True)
