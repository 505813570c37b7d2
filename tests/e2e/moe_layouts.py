"""Random small models with a random way to route and to train routers, on random layouts: what
moe_invariance_*test.py share."""
import json

from family_layouts import LINES, LONGEST, RECIPE, STEPS, FamilyLayouts, random_config

BALANCES = ("none", "switch", "transformers", "gshard", "sequence", "global", "bias", "bias+sequence")
GRADIENTS = ("top_k", "default_moe", "dense_mixer", "sparse_mixer")
CAPACITIES = ("none", "probability", "position", "padded")
ROUTINGS = ("top_k", "top_p", "identity", "prediction")
KINDS = ([("balance", b) for b in BALANCES] + [("gate_gradient", g) for g in GRADIENTS]
         + [("capacity", c) for c in CAPACITIES[1:]] + [("routing", r) for r in ROUTINGS[1:]] + [("placement", "balanced")])
SPLIT = ((2, 2), (4, 2), (4, 4))


def choices(draw, fixed):
    """One value for each kind, that of `fixed` given; those that do not go together are made to."""
    kind, value = fixed
    chosen = {"balance": draw.choice(BALANCES[:5] + BALANCES[6:]), "gate_gradient": draw.choice(GRADIENTS),
              "capacity": draw.choice(CAPACITIES), "routing": draw.choice(ROUTINGS), "placement": draw.choice(["in_order", "balanced"])}
    chosen[kind] = value

    mixes = chosen["gate_gradient"] in ("dense_mixer", "sparse_mixer")
    if mixes and chosen["capacity"] != "none":
        if kind == "capacity":
            chosen["gate_gradient"] = "top_k"
        else:
            chosen["capacity"] = "none"
    if chosen["routing"] in ("top_p", "identity") and chosen["gate_gradient"] != "top_k":
        if kind == "gate_gradient":
            chosen["routing"] = "top_k"
        else:
            chosen["gate_gradient"] = "top_k"
    return chosen


def with_routing(draw, config, chosen):
    """The architecture that the choices need."""
    biased = chosen["balance"].startswith("bias")
    if chosen["gate_gradient"] == "sparse_mixer" and biased:
        chosen["balance"] = "switch"
        biased = False
    if config["model_type"] != "deepseek_v3" and biased:
        config["use_expert_bias"] = True
    if chosen["routing"] == "top_p":
        config |= {"router_top_p": draw.choice([0.3, 0.6]), "num_experts_per_tok": 3,
                   "router_logit_scale": "rsqrt_hidden_size"}
    if chosen["routing"] == "identity":
        config |= {"zero_expert_num": draw.choice([2, 4]), "num_experts_per_tok": 3}
    if config.get("n_group"):
        most = config["n_routed_experts"] // config["n_group"] * config["topk_group"]
        config["num_experts_per_tok"] = min(config["num_experts_per_tok"], most)
    if chosen["routing"] == "prediction":
        config["num_nextn_predict_layers"] = draw.choice([1, 2])
    return config


def recipe_of(draw, chosen):
    moe = {"balance": {"type": chosen["balance"], "coefficient": 0.02}, "router_z_coefficient": 0.01,
           "gate_gradient": chosen["gate_gradient"], "router_jitter_noise": draw.choice([0.0, 0.1]),
           "router_entropy_coefficient": draw.choice([0.0, 0.01]), "placement": chosen["placement"],
           "diagnose_every": 0 if chosen["routing"] == "identity" else 3}
    if chosen["balance"].startswith("bias"):
        moe["balance"]["update_speed"] = 0.05
    if chosen["gate_gradient"] == "sparse_mixer":
        moe["sparse_mixer_eps"] = 0.5
    if chosen["capacity"] != "none":
        moe |= {"capacity_factor": draw.choice([0.5, 1.0]), "pad_to_capacity": chosen["capacity"] == "padded",
                "drop": "position" if chosen["capacity"] == "position" else "probability"}
    return moe


class MoeLayouts(FamilyLayouts):
    def family_for(self, draw, chosen):
        if chosen["routing"] == "prediction":
            return "deepseek_v3"
        families = ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe"]
        ungrouped = chosen["gate_gradient"] != "sparse_mixer" and chosen["routing"] not in ("identity",)
        return draw.choice(families + ["deepseek_v3"] * ungrouped)

    def check_kind(self, draw, fixed, num_layouts):
        chosen = choices(draw, fixed)
        if chosen["routing"] == "prediction" and chosen["gate_gradient"] == "sparse_mixer":
            chosen["gate_gradient" if fixed[0] != "gate_gradient" else "routing"] = "top_k"
        family = self.family_for(draw, chosen)
        config = with_routing(draw, random_config(draw, family), chosen)
        moe = recipe_of(draw, chosen)
        lines = 8 if chosen["balance"] == "global" else LINES
        texts = [[draw.randrange(config["vocab_size"]) for _ in range(draw.randint(2, LONGEST + 1))]
                 for _ in range(STEPS * lines)]
        (self.folder / "lines.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in texts))
        train = {"checkpoint_activations": draw.choice([True, False])}
        if chosen["routing"] == "prediction":
            train["mtp_coefficient"] = 0.3
        text = RECIPE.format(folder=self.folder, family=family, seed=draw.randrange(1000), config=json.dumps(config),
                             moe=f"moe: {json.dumps(moe)}\n", longest=LONGEST, steps=STEPS, lines=lines)
        text = text.replace("clip_norm: 0.05", ", ".join(["clip_norm: 0.05"] + [f"{k}: {json.dumps(v)}" for k, v in train.items()]))
        self.recipe.write_text(text.replace("every_steps: 0, keep: 1", "every_steps: 2, keep: 1"))
        # The global balance counts what the ranks see at once: there the number of ranks stays.
        base = 4 if chosen["balance"] == "global" else 1
        layouts = [(4, 2), (4, 4)] if base == 4 else draw.sample(SPLIT, min(2, num_layouts)) + [(3, 1)]
        with self.subTest(f"{fixed}: {family} {json.dumps(config)} {json.dumps(moe)} {train}"):
            self.train("--overwrite", run="one", ranks=base, expert=1)
            wanted = self.rows("one")
            self.assertEqual(len(wanted), STEPS)
            worst = max(self.compare(wanted, ranks, expert) for ranks, expert in layouts[:num_layouts])
            print(f"{fixed[0]} {fixed[1]} ({family}) on {layouts[:num_layouts]}: {worst:.1e}", flush=True)
