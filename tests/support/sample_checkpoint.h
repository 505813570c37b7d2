// A checkpoint's content whose values follow from names and global elements: any rank of any
// layout, and a script that reads the file, can say what is right.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/random.h"
#include "parallel/rank_context.h"
#include "store/checkpoint.h"

namespace moesaic::test {

inline constexpr std::int64_t kSampleExperts = 12;  // divides by all group sizes of the tests

/// ((hash of the name mod 1,009 + 37 element) mod 2,003 - 1,001) / 64: exact in float32, not in
/// bfloat16.
inline double sample_value(const std::string& name, std::int64_t element) {
  const auto start = static_cast<std::int64_t>(hash_name(name) % 1009);
  return static_cast<double>((start + 37 * element) % 2003 - 1001) / 64.0;
}

/// Rows [first_row, first_row + shape[0]) of the tensor `name`.
inline at::Tensor sample_tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                                at::ScalarType dtype, std::int64_t first_row = 0) {
  at::Tensor values = at::empty(shape, at::kDouble);
  const std::int64_t first =
      shape.empty() || shape[0] == 0 ? 0 : first_row * (values.numel() / shape[0]);
  auto* data = values.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < values.numel(); ++i) data[i] = sample_value(name, first + i);
  return values.to(dtype);
}

inline StateEntry dense_entry(const std::string& name, const std::vector<std::int64_t>& shape,
                              at::ScalarType dtype = at::kFloat) {
  return {.name = name, .tensor = sample_tensor(name, shape, dtype), .global_shape = shape};
}

inline StateEntry expert_entry(const RankContext& context, const std::string& name,
                               std::int64_t rows, std::int64_t columns,
                               at::ScalarType dtype = at::kFloat) {
  const std::int64_t first = context.plan.first_expert(context.rank(), kSampleExperts);
  const std::int64_t local = context.plan.local_experts(kSampleExperts);
  return {.name = name,
          .tensor = sample_tensor(name, {local, rows, columns}, dtype, first),
          .global_shape = {kSampleExperts, rows, columns},
          .offset = first,
          .scope = Scope::kExpert};
}

inline CheckpointContent sample_content(const RankContext& context) {
  CheckpointContent content;
  content.model = {dense_entry("model.embed_tokens.weight", {9001, 5}),  // three digest blocks
                   dense_entry("model.norm.weight", {7}, at::kDouble),
                   expert_entry(context, "model.layers.0.mlp.experts.up_proj.weight", 6, 5),
                   dense_entry("model.layers.0.mlp.gate.weight", {12, 5}, at::kBFloat16),
                   expert_entry(context, "model.layers.0.mlp.experts.down_proj.weight", 5, 6)};
  content.state = {
      dense_entry("exp_avg/model.embed_tokens.weight", {9001, 5}),
      expert_entry(context, "exp_avg/model.layers.0.mlp.experts.up_proj.weight", 6, 5, at::kDouble),
      dense_entry("router/steps", {}, at::kLong)};
  content.config = {{"model_type", "olmoe"}, {"hidden_size", 5}};
  content.tokenizer = {{"type", "byte"}};
  content.training = {{"step", 100}, {"tokens", 6400}};
  return content;
}

/// Overwrites all tensors, so that a load shows.
inline void spoil(CheckpointContent& content) {
  for (StateEntry& entry : content.model) entry.tensor.fill_(-3);
  for (StateEntry& entry : content.state) entry.tensor.fill_(-3);
}

/// The first entry whose bits are not those of the sample, "" when all are.
inline std::string wrong_entry(const CheckpointContent& content) {
  for (const StateDict* entries : {&content.model, &content.state}) {
    for (const StateEntry& entry : *entries) {
      const at::Tensor right = sample_tensor(entry.name, entry.tensor.sizes().vec(),
                                             entry.tensor.scalar_type(), entry.offset);
      if (!at::equal(entry.tensor, right)) return entry.name;
    }
  }
  return "";
}

/// A folder of its own, removed with what it holds.
class SampleFolder {
 public:
  SampleFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "moesaic-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~SampleFolder() { std::filesystem::remove_all(path_); }
  SampleFolder(const SampleFolder&) = delete;
  SampleFolder& operator=(const SampleFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace moesaic::test
