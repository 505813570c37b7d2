"""IDX files of small images that can be told apart: what the tests of images train on."""
import gzip
import random
import struct

SIDE, LABELS = 6, 4


def idx(shape, values):
    """The bytes of an IDX file of unsigned bytes."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(values)


def write_images(folder, name, count, seed):
    """folder/name.idx.gz and folder/name-labels.idx: label i is a bright quarter of rows, on noise."""
    draws = random.Random(seed)
    labels = [draws.randrange(LABELS) for _ in range(count)]
    pixels = []
    for label in labels:
        for place in range(SIDE * SIDE):
            bright = place * LABELS // (SIDE * SIDE) == label
            pixels.append(draws.randrange(90, 256) if bright else draws.randrange(0, 130))
    (folder / f"{name}.idx.gz").write_bytes(gzip.compress(idx((count, SIDE, SIDE), pixels)))
    (folder / f"{name}-labels.idx").write_bytes(idx((count,), labels))
    return pixels, labels


RECIPE = """
name: images
seed: 5
run_dir: {folder}/run
model: {{config: {{model_type: mlp, input_size: 36, hidden_sizes: [16, 12], num_labels: 4}}}}
data:
  train: [{{path: {folder}/train.idx.gz, labels: {folder}/train-labels.idx, format: idx}}]
  valid: [{{path: {folder}/valid.idx.gz, labels: {folder}/valid-labels.idx, format: idx}}]
train: {{max_steps: 40, global_batch_size: 24, micro_batch_size: 6, precision: float64, clip_norm: 0}}
optimizer: {{type: sgd, learning_rate: 0.1, momentum: 0.9, weight_decay: 0}}
schedule: {{type: constant, warmup_steps: 0}}
parallel: {{timeout_s: 60}}
checkpoint: {{every_steps: 10}}
eval: {{every_steps: 20}}
log: {{every_steps: 1, tensorboard: false}}
"""
