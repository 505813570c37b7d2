"""The layer for multi-token prediction against DeepSeek-V3's block in Transformers, put together by hand as the serving
engines do it: eh_proj [enorm(embedding of the next token); hnorm(final hidden state)], block, shared_head.norm, head."""
import json
import pathlib
import sys
import unittest

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402
from prediction_test import CONFIG  # noqa: E402

LENGTH = 21
CONFIG = CONFIG | {"num_nextn_predict_layers": 1}


class MtpTest(RunTest):
    def loss_here(self, lines):
        (self.folder / "lines.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in lines))
        data = f"{{train: [{{path: {self.folder}/lines.jsonl, format: tokens}}], sequence_length: {LENGTH - 1}, packing: false, shuffle: false}}"
        self.recipe.write_text(f"name: mtp\nmodel: {{from: {self.folder}/hub}}\ndata: {data}\n"
                               "train: {max_steps: 1, global_batch_size: 4, micro_batch_size: 2, precision: float64, mtp_coefficient: 0.3}\n"
                               "moe: {balance: {type: none}, router_z_coefficient: 0.0}\nlog: {every_steps: 1, tensorboard: false}\n")
        self.train(run="one")
        return self.rows("one")[0]

    def loss_there(self, lines):
        model = AutoModelForCausalLM.from_pretrained(self.folder / "hub", dtype=torch.float32)
        weights = {name.removeprefix("model.layers.2."): value.float() for name, value in
                   safetensors.torch.load_file(self.folder / "hub/model.safetensors").items() if name.startswith("model.layers.2.")}
        block = deepseek.DeepseekV3DecoderLayer(model.config, 2).float()
        own = block.state_dict()
        joined = {"mlp.experts.gate_up_proj": torch.stack([torch.cat([weights[f"mlp.experts.{e}.gate_proj.weight"],
                                                                      weights[f"mlp.experts.{e}.up_proj.weight"]]) for e in range(8)]),
                  "mlp.experts.down_proj": torch.stack([weights[f"mlp.experts.{e}.down_proj.weight"] for e in range(8)])}
        block.load_state_dict({name: joined.get(name, weights.get(name)) for name in own})
        norm = lambda x, name: torch.nn.functional.rms_norm(x, (x.shape[-1],), weights[name], model.config.rms_norm_eps)  # noqa: E731
        ids = torch.tensor(lines)
        inputs, following = ids[:, :-1], ids[:, 1:]
        hidden = model.model(inputs).last_hidden_state
        both = torch.cat([norm(model.model.embed_tokens(following), "enorm.weight"), norm(hidden, "hnorm.weight")], -1)
        x = both @ weights["eh_proj.weight"].T
        positions = torch.arange(inputs.shape[1])[None]
        mask = torch.full((inputs.shape[1],) * 2, float("-inf")).triu(1)[None, None]
        y = block(x, attention_mask=mask, position_ids=positions, position_embeddings=model.model.rotary_emb(x, positions))
        logits = model.lm_head(norm(y if torch.is_tensor(y) else y[0], "shared_head.norm.weight"))
        losses = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 2:].flatten(), reduction="sum")
        main = torch.nn.functional.cross_entropy(model.lm_head(hidden).flatten(0, 1), following.flatten())
        return main.item(), losses.item() / following.numel()

    def test_loss(self):
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  config: {json.dumps(CONFIG)}\n{text[end:]}")
        self.train("train.max_steps=5", "train.mtp_coefficient=0.3", "train.precision=float64")
        self.moesaic("export", self.folder / "run", self.folder / "hub", "--dtype", "float32")
        draw = torch.Generator().manual_seed(3)
        lines = torch.randint(0, 257, (4, LENGTH), generator=draw).tolist()
        row, (main, further) = self.loss_here(lines), self.loss_there(lines)
        print(f"loss {row['loss']:.9f} {main:.9f}, loss_mtp {row['loss_mtp']:.9f} {further:.9f}")
        self.assertAlmostEqual(row["loss"], main, delta=2e-5)
        self.assertAlmostEqual(row["loss_mtp"], further, delta=2e-5)


if __name__ == "__main__":
    unittest.main()
