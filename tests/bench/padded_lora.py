#!/usr/bin/env python3
"""A peer: PEFT's adapters on attention, trained on conversations of uneven lengths as TRL does unless told otherwise: each
one alone in its row, rows of a batch padded to the longest. Reads lines {"ids": [...]} and prints one JSON line with the
tokens that are not padding, per second of the processor.

    .venv-parity/bin/python tests/bench/padded_lora.py HUB LINES [--batch 8] [--steps 4]
"""
import argparse
import json
import pathlib
import time

import peft
import torch
from transformers import AutoModelForCausalLM

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("hub")
p.add_argument("lines", type=pathlib.Path)
p.add_argument("--batch", type=int, default=8)
p.add_argument("--steps", type=int, default=4)
a = p.parse_args()
torch.set_num_threads(1)
lines = [json.loads(line)["ids"] for line in a.lines.read_text().splitlines()]
model = AutoModelForCausalLM.from_pretrained(a.hub, dtype=torch.float32, attn_implementation="sdpa").train()
model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
optimizer = torch.optim.AdamW([q for q in model.parameters() if q.requires_grad], lr=1e-4, fused=True)
seconds, tokens, positions = 0.0, 0, 0
for step in range(a.steps + 1):
    batch = [torch.tensor(ids) for ids in lines[a.batch * step:a.batch * (step + 1)]]
    ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
    began = time.process_time()
    model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100), use_cache=False).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step > 0:  # the first one warms up
        seconds += time.process_time() - began
        tokens += int(mask.sum())
        positions += mask.numel()
print(json.dumps({"tokens_per_s": tokens / seconds, "fill": tokens / positions}))
