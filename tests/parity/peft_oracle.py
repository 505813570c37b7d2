"""What PEFT makes of an adapter folder, and its training of it."""
from unittest import mock

import peft
import torch
import transformers_oracle as oracle
from torch.nn import functional


def load(test, hub, folder, trainable=False):
    """The model in `hub` in float64 with the adapter; every key of both was used, or `test` fails."""
    reports, load_adapter = [], peft.PeftModel.load_adapter

    def watched(*arguments, **options):
        reports.append(load_adapter(*arguments, **options))
        return reports[-1]

    with mock.patch.object(peft.PeftModel, "load_adapter", watched):
        model = peft.PeftModel.from_pretrained(oracle.load(hub, torch.float64), folder, is_trainable=trainable,
                                               autocast_adapter_dtype=False)
    for report in reports:
        test.assertEqual((report.missing_keys, report.unexpected_keys), ([], []))
    test.assertEqual(len(reports), 1)
    return model


def hold_block_diagonal(model):
    """Keeps gate and up projection of experts apart: of their common B the blocks [gate, up] of a pair each are trained alone."""
    for name, b in model.named_parameters():
        if "lora_B" not in name or not b.requires_grad:
            continue
        parent = model.get_submodule(name[:name.index(".lora_B")])
        if getattr(parent, "parameter_name", "") != "gate_up_proj":
            continue
        experts = parent.num_experts
        columns = b.shape[1] // experts  # the ranks of both
        mask = torch.zeros(2, b.shape[0] // 2, 2, columns // 2, experts, dtype=b.dtype)
        mask[0, :, 0] = mask[1, :, 1] = 1
        mask = mask.view(b.shape)
        if (b * (1 - mask)).any():
            raise AssertionError(f"{name}: not one block for each projection")
        b.register_hook(lambda gradient, mask=mask: gradient * mask)


def train(model, optimizer, batches):
    """Cross entropy, mean over the targets of a batch, before each step."""
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        targets, total = sum(len(ids) - 1 for ids in batch), 0.0
        for ids in batch:
            logits = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0]
            loss = functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum") / targets
            loss.backward()
            total += loss.item()
        optimizer.step()
        losses.append(total)
    return losses
