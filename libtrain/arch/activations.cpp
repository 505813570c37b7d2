#include "arch/activations.h"

#include <algorithm>

namespace moesaic::arch {
namespace {

constexpr double kIndex = 8;  // bytes of an int64

double d(std::int64_t value) { return static_cast<double>(value); }

double sum(const std::vector<Kept>& rows) {
  double total = 0;
  for (const Kept& row : rows) total += row.bytes;
  return total;
}

// Values of one token, all heads.
struct Widths {
  double hidden, query, key, value, out, heads;

  explicit Widths(const Options& o)
      : hidden(d(o.hidden_size)),
        query(d(o.num_attention_heads * o.query_head_dim())),
        key(d(o.num_key_value_heads * o.query_head_dim())),
        value(d(o.num_key_value_heads * o.value_head_dim())),
        out(d(o.num_attention_heads * o.value_head_dim())),
        heads(d(o.num_attention_heads)) {}
};

// The input of maps, `width` values wide, and what first factors of adapters make of it.
void add_input(const char* what, double width, const MapTraining& maps, const ActivationOptions& s,
               std::vector<Kept>& rows) {
  const int own = s.adapter_dropout ? maps.adapters : 0;
  const bool shared = maps.weight || (maps.adapters > 0 && own == 0);
  const double copies = own + (shared ? 1 : 0);
  if (copies > 0) rows.push_back({what, copies * width * s.compute_bytes});
  if (maps.ranks > 0) rows.push_back({"inputs of second factors", maps.ranks * s.compute_bytes});
}

void add_projections(const Options& o, const ActivationOptions& s, const Widths& w,
                     std::vector<Kept>& rows) {
  const double m = s.master_bytes, c = s.compute_bytes;
  if (o.qk_norm != QkNorm::kNone) {
    const bool each = o.qk_norm == QkNorm::kEachHead;
    const double norms = each ? w.heads + d(o.num_key_value_heads) : 2;
    rows.push_back({"projected queries and keys, by their norms", (w.query + w.key) * c});
    rows.push_back({"1 / rms and example of each norm", norms * (m + (each ? kIndex : 0))});
  }
  if (o.clip_qkv > 0) {
    rows.push_back({"queries, keys and values, by the clamp", (w.query + w.key + w.value) * c});
  }
  rows.push_back({"queries, keys and values, by attention", (w.query + w.key + w.value) * c});
}

void add_latent_projections(const Options& o, const ActivationOptions& s, const Widths& w,
                            const LayerTraining& training, std::vector<Kept>& rows) {
  const double m = s.master_bytes, c = s.compute_bytes;
  const double latents = d(o.q_lora_rank + o.kv_lora_rank);
  rows.push_back({"latents, by their norms", latents * c});
  add_input("latents, by the products after them", latents,
            training.maps(Group::kAttention, MapPlace::kLatent), s, rows);
  rows.push_back({"1 / rms of each norm", (o.q_lora_rank > 0 ? 2 : 1) * m});
  rows.push_back({"queries and keys with their positions, by attention", (w.query + w.key) * c});
  rows.push_back({"expanded keys and values: attention's values lie in there",
                  (w.heads * d(o.qk_nope_head_dim) + w.value) * c});
}

// `copies`: rows of each token.
void add_dense(double width, double copies, const ActivationOptions& s,
               const LayerTraining& training, Group group, std::vector<Kept>& rows) {
  if (training.network())
    rows.push_back({"gate and up, by SwiGLU", copies * 2 * width * s.compute_bytes});
  MapTraining down = training.maps(group, MapPlace::kOut);
  down.ranks *= copies;
  add_input("its result, by the product down", copies * width, down, s, rows);
}

// What the router leaves to the losses: logits, probabilities, choices.
double record_bytes(const Options& o, const ActivationOptions& s) {
  return 2 * d(o.num_experts) * s.master_bytes + d(o.num_experts_per_tok) * kIndex;
}

void add_experts(const Options& o, const ActivationOptions& s, const Widths& w,
                 const LayerTraining& training, std::vector<Kept>& rows) {
  const double m = s.master_bytes, c = s.compute_bytes, k = d(o.num_experts_per_tok);
  const bool router = training.maps(Group::kRouter, MapPlace::kIn).any();
  if (c != m && router) rows.push_back({"the norm's result, by the router", w.hidden * m});
  rows.push_back({"router: logits, probabilities, choices", record_bytes(o, s)});
  rows.push_back({"gate weights", (o.norm_topk_prob ? 4 : 2) * k * m});
  // Order, its inverse, token and example of each row; with split experts a second order.
  rows.push_back({"places of the rows", (s.split_experts ? 6 : 4) * k * kIndex});
  MapTraining inner = training.maps(Group::kExperts, MapPlace::kIn);
  inner.ranks *= k;
  add_input("rows of the chosen experts, by gate and up", k * w.hidden, inner, s, rows);
  add_dense(d(o.moe_intermediate_size), k, s, training, Group::kExperts, rows);
  if (o.shared_intermediate_size > 0)
    add_dense(d(o.shared_intermediate_size), 1, s, training, Group::kShared, rows);
  if (o.shared_expert_gate) rows.push_back({"the shared expert's result", w.hidden * c});
  if (s.missing_experts)
    rows.push_back({"results of the other experts", (d(o.num_experts) - k) * w.hidden * c});
}

// Beside what a layer keeps, while backward goes through its network: the gradient of its result
// (waiting for the residual, too), and around the product down and SwiGLU the largest of: gradients
// of result and input; of gate and up, when the input of the product is gone already. A second run
// of forward needs the rows of results, on their way home, and their sum.
double network_transient(const Options& o, const ActivationOptions& s, bool moe,
                         const LayerTraining& training) {
  const double m = s.master_bytes, c = s.compute_bytes, hidden = d(o.hidden_size);
  const double gradient = hidden * (c == m ? m : m + c);
  const double copies = moe ? d(o.num_experts_per_tok) : 1;
  const double inner = moe ? d(o.moe_intermediate_size) : d(o.intermediate_size);
  // A frozen product has kept no input that could be gone: the gradient of it is there, too.
  const bool frozen = !training.maps(moe ? Group::kExperts : Group::kDense, MapPlace::kOut).any();
  const double backward = copies * std::max(hidden + inner, (frozen ? 3 : 2) * inner) * c;
  const double results = copies * hidden * c * (s.split_experts ? 2 : 1) + hidden * c;
  return gradient + std::max(backward, s.recomputed ? results : 0.0);
}

// Beside an adapted map in backward: the gradient of its input, which the adapter adds to that of
// the weight where it lies; with dropout each has its own.
double adapter_transient(const MapTraining& maps, double in, const ActivationOptions& s) {
  return maps.ranks > 0 ? (s.adapter_dropout ? 2 : 1) * in * s.compute_bytes : 0;
}

double network_adapters(const Options& o, const ActivationOptions& s, bool moe,
                        const LayerTraining& training) {
  const double copies = moe ? d(o.num_experts_per_tok) : 1;
  const Group group = moe ? Group::kExperts : Group::kDense;
  return copies * adapter_transient(training.maps(group, MapPlace::kIn), d(o.hidden_size), s);
}

// While the experts that were not chosen run forward: their rows, and gate, up and product.
double missing_transient(const Options& o, const ActivationOptions& s) {
  if (!s.missing_experts) return 0;
  const double copies = d(o.num_experts - o.num_experts_per_tok);
  return copies * (d(o.hidden_size) + 3 * d(o.moe_intermediate_size)) * s.compute_bytes;
}

// As network_transient, while backward goes through attention, whose network half is gone:
// gradients of the layer's result, of attention's result, and of queries, keys and values.
double attention_transient(const ActivationOptions& s, const Widths& w) {
  return w.hidden * s.master_bytes + (w.out + w.query + w.key + w.value) * s.compute_bytes;
}

// On a device: of one sequence at a time, in backward, the weights, their gradient, its product
// with them, and what becomes of it (nn/attention.cpp).
double whole_score_bytes(const ActivationOptions& s, const Widths& w) {
  return 4 * w.heads * s.whole_scores * s.whole_scores * s.compute_bytes;
}

// At the losses: input and result of the last norm, the result's gradient, and a block of logits
// (loss/cross_entropy.cpp).
double loss_bytes(const Options& o, const ActivationOptions& s) {
  constexpr double kBlockValues = 8 << 20, kLeastRows = 256;
  const double rows = std::min(s.tokens, std::max(kLeastRows, kBlockValues / d(o.vocab_size)));
  return s.tokens * d(o.hidden_size) * (s.master_bytes + 2 * s.compute_bytes) +
         rows * d(o.vocab_size) * s.compute_bytes;
}

// Of a layer for multi-token prediction, around its block: the next token's embedding and its norm
// beside that of the stream, the result, and its norm with the gradient that the loss leaves.
double prediction_bytes(const ActivationOptions& s, const Widths& w) {
  return w.hidden * (2 * s.master_bytes + 4 * s.compute_bytes);
}

// Rows of features, the results of the layers, and the gradients of the widest of these.
double classifier_bytes(const Options& o, const ActivationOptions& s) {
  const double m = s.master_bytes, c = s.compute_bytes;
  double row = d(o.input_size) * (c == m ? m : m + c) + 3 * kIndex, widest = 0;
  for (const std::int64_t width : o.hidden_sizes) {
    row += d(width) * c;
    widest = std::max(widest, d(width));
  }
  return s.tokens * (row + 2 * widest * c) + loss_bytes(o, s);
}

}  // namespace

std::vector<Kept> kept_by_attention(const Options& o, const ActivationOptions& s,
                                    const LayerTraining& training) {
  const Widths w(o);
  std::vector<Kept> rows;
  if (training.input())
    rows.push_back({"the layer's input, by its norm", w.hidden * s.master_bytes + s.master_bytes});
  add_input("the norm's result, by the projections", w.hidden,
            training.maps(Group::kAttention, MapPlace::kIn), s, rows);
  const MapTraining out = training.maps(Group::kAttention, MapPlace::kOut);
  if (!training.attention()) {
    add_input("attention's result, by the product after it", w.out, out, s, rows);
    return rows;
  }
  if (o.is_mla())
    add_latent_projections(o, s, w, training, rows);
  else
    add_projections(o, s, w, rows);
  rows.push_back(
      {"attention's result, by itself and by the product after it", w.out * s.compute_bytes});
  rows.push_back({"log sum exp of the scores", w.heads * s.master_bytes});
  const double own = s.adapter_dropout ? out.adapters : 0;
  if (out.ranks + own > 0)
    rows.push_back(
        {"what the adapter after it reads", (out.ranks + own * w.out) * s.compute_bytes});
  return rows;
}

// What the norm of the network gives to the maps of its token.
MapTraining maps_of_network(const Options& o, const ActivationOptions& s,
                            const LayerTraining& training, std::int64_t layer) {
  if (!o.is_moe_layer(layer)) return training.maps(Group::kDense, MapPlace::kIn);
  MapTraining maps = training.maps(Group::kShared, MapPlace::kIn);
  const MapTraining router = training.maps(Group::kRouter, MapPlace::kIn);
  if (s.compute_bytes == s.master_bytes) maps.adapters += router.adapters;
  maps.weight = maps.weight || router.weight;
  maps.ranks += router.ranks;
  return maps;
}

std::vector<Kept> kept_by_network(const Options& o, const ActivationOptions& s, std::int64_t layer,
                                  const LayerTraining& training) {
  const Widths w(o);
  std::vector<Kept> rows;
  if (training.stream()) {
    rows.push_back({"attention's sum with the residual, by the norm",
                    w.hidden * s.master_bytes + s.master_bytes});
  }
  add_input("the norm's result, by the products", w.hidden, maps_of_network(o, s, training, layer),
            s, rows);
  if (o.is_moe_layer(layer))
    add_experts(o, s, w, training, rows);
  else
    add_dense(d(o.intermediate_size), 1, s, training, Group::kDense, rows);
  return rows;
}

double activation_peak(const Options& o, const ActivationOptions& s,
                       const std::vector<LayerTraining>& layers) {
  if (o.reads_features()) return classifier_bytes(o, s);
  const Widths w(o);
  const double scores = whole_score_bytes(s, w) / s.tokens;
  double staying = 0, most = 0;  // of the layers up to this one; bytes a token
  for (std::int64_t layer = 0; layer < o.num_hidden_layers + o.num_nextn_predict_layers; ++layer) {
    if (layer >= o.num_hidden_layers) staying += prediction_bytes(s, w);
    const bool moe = o.is_moe_layer(layer);
    const LayerTraining all;
    const LayerTraining& training = layers.empty() ? all : layers[static_cast<std::size_t>(layer)];
    const double attention = sum(kept_by_attention(o, s, training));
    const double kept = attention + sum(kept_by_network(o, s, layer, training));
    // Recomputed, a layer's input and what its router left stay; the rest is there for a while.
    const double input = w.hidden * s.master_bytes + (moe ? record_bytes(o, s) : 0.0);
    const double before = staying;
    staying += s.recomputed && training.output() ? input : kept;
    const double query_adapter =
        adapter_transient(training.maps(Group::kAttention, MapPlace::kIn), w.hidden, s);
    const double passing =
        std::max(network_transient(o, s, moe, training) + network_adapters(o, s, moe, training),
                 moe ? missing_transient(o, s) : 0.0);
    most = std::max({most, before + kept + passing,
                     before + attention + attention_transient(s, w) + query_adapter + scores});
  }
  // For all layers at once: the angles of the positions, and the batch.
  const double common = s.tokens * (d(o.rotary_dim()) * s.master_bytes + 4 * kIndex);
  return common + std::max(s.tokens * most, s.tokens * staying + loss_bytes(o, s));
}

}  // namespace moesaic::arch
