"""What Transformers computes for a checkpoint folder: log-probabilities, gradients, losses of AdamW steps.

Each sequence is computed by a model that has seen no other one: `dynamic` rotary embedding remembers the longest.
"""
import copy
import math
import sys

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)


def load(folder, dtype=torch.float32):
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"] or report["error_msgs"]:
        raise AssertionError(f"{folder}: {report}")
    if any(is_router(module) for module in model.modules()):
        model.set_experts_implementation("eager")
    return model.eval()


def log_probs(model, ids):
    """Natural log-probabilities of ids[1:], each given those before it."""
    if len(ids) < 2:
        return torch.zeros(0)
    with torch.no_grad():
        logits = copy.deepcopy(model)(torch.tensor([ids])).logits[0, :-1]
    return logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def hub_tensors(tensors, model_type):
    """{name in Transformers: tensor} -> {name in the hub's files: tensor}: experts one by one."""
    found = {}
    for name, tensor in tensors.items():
        if name.endswith("experts.gate_up_proj"):
            for i, expert in enumerate(tensor):
                gate, up = expert.chunk(2)
                found[f"{name[:-12]}{i}.gate_proj.weight"], found[f"{name[:-12]}{i}.up_proj.weight"] = gate, up
        elif name.endswith("experts.down_proj"):
            found.update({f"{name[:-9]}{i}.down_proj.weight": expert for i, expert in enumerate(tensor)})
        else:
            found[name] = tensor
    if model_type == "mixtral":  # every layer is a MoE layer
        for new, old in (("block_sparse_moe", "mlp"), ("w1", "gate_proj"), ("w3", "up_proj"), ("w2", "down_proj")):
            found = {name.replace(f".{old}.", f".{new}."): tensor for name, tensor in found.items()}
    return found


def gradients(model, lines):
    """Of the cross entropy, mean over all targets of `lines`: {hub name: tensor}."""
    targets = sum(len(ids) - 1 for ids in lines)
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for ids in lines:
        fresh = copy.deepcopy(model)
        logits = fresh(torch.tensor([ids[:-1]])).logits[0]
        (functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum") / targets).backward()
        for name, parameter in fresh.named_parameters():
            if parameter.grad is not None:
                total[name] += parameter.grad
    return hub_tensors(total, model.config.model_type)


def adamw_losses(model, batches, learning_rate, balance):
    """[(cross entropy, balance loss)] before each step; a batch is a list of lines of equal length."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
    coefficient = model.config.router_aux_loss_coef if balance else 0.0
    losses = []
    for batch in batches:
        ids = torch.tensor(batch)
        out = model(ids[:, :-1], **({"output_router_logits": True} if balance else {}))
        loss = functional.cross_entropy(out.logits.flatten(0, 1), ids[:, 1:].flatten())
        auxiliary = torch.zeros(())
        if balance:
            pooled = sys.modules[type(model).__module__].load_balancing_loss_func
            experts = next(m.num_experts for m in model.modules() if is_router(m))
            auxiliary = pooled(out.router_logits, experts, model.config.num_experts_per_tok)
        optimizer.zero_grad()
        (loss + coefficient * auxiliary).backward()
        optimizer.step()
        losses.append((loss.item(), auxiliary.item()))
    return losses


def is_router(module):
    return type(module).__name__.lower().endswith("topkrouter")


def choice_margin(router, logits):
    """Smallest distance between what is chosen and what is not, over experts and groups and tokens."""
    biased = hasattr(router, "e_score_correction_bias")
    scores = logits.float().sigmoid() + router.e_score_correction_bias if biased else logits.float().log_softmax(-1)
    margins = [math.inf]

    def cut(values, count):
        ordered = values.sort(-1, descending=True).values
        if count < ordered.shape[-1]:
            margins.append((ordered[:, count - 1] - ordered[:, count]).min().item())

    if biased or getattr(router, "topk_method", "greedy") == "group_limited_greedy":
        grouped = scores.view(len(scores), router.num_group, -1)
        of_group = grouped.topk(2, -1).values.sum(-1) if biased else grouped.max(-1).values
        cut(of_group, router.topk_group)
        kept = of_group.topk(router.topk_group, -1).indices
        mask = torch.zeros_like(of_group, dtype=torch.bool).scatter(1, kept, True)
        scores = grouped.masked_fill(~mask[..., None], -math.inf).flatten(1)
    cut(scores, router.top_k)
    return min(margins)


class Watch:
    """Within `with`, every router of copies of `model` reports: .margin, and .entropy relative to uniform."""

    def __init__(self):
        self.margin, self.entropies = math.inf, []

    def __enter__(self):
        def look(module, inputs, output):
            if is_router(module):
                logits = output[0].detach().float()
                self.margin = min(self.margin, choice_margin(module, logits))
                shares = logits.softmax(-1)
                entropy = -(shares * shares.clamp_min(1e-30).log()).sum(-1).mean().item()
                self.entropies.append(entropy / math.log(shares.shape[-1]))
        self.handle = torch.nn.modules.module.register_module_forward_hook(look)
        return self

    def __exit__(self, *_):
        self.handle.remove()


def attention_entropy(model, ids):
    """Mean entropy of attention rows, relative to the uniform one, over layers, heads and positions beyond 3."""
    with torch.no_grad():
        attentions = copy.deepcopy(model)(torch.tensor([ids]), output_attentions=True).attentions
    rows = torch.stack([layer[0] for layer in attentions])[..., 3:, :]
    entropy = -(rows * rows.clamp_min(1e-30).log()).sum(-1)
    return (entropy / torch.log(torch.arange(4, len(ids) + 1))).mean().item()
