#include "arch/upcycle.h"

#include "core/error.h"

namespace moesaic::arch {

Options upcycled(const Options& dense, const UpcycleOptions& u, std::vector<Problem>& problems) {
  Options o = dense;
  const auto refuse = [&problems](bool wrong, const char* key, const std::string& message) {
    if (wrong) problems.push_back({key, message, false});
  };
  refuse(dense.num_experts > 0, "num_experts", "the model has experts already");
  const bool llama = dense.model_type == "llama";
  refuse(!llama && dense.model_type != "qwen3", "num_experts",
         format("{} has no counterpart with experts here; llama and qwen3 have one",
                dense.model_type));
  refuse(llama && (dense.attention_bias || dense.mlp_bias), "num_experts",
         "the counterpart of llama, mixtral, has no biases (attention_bias, mlp_bias)");
  refuse(u.num_experts < 2 || u.num_experts > 65536, "num_experts",
         format("is {}, it must be from 2 to 65536", u.num_experts));
  const std::int64_t pieces = u.granularity;
  refuse(pieces < 1 || dense.intermediate_size % pieces != 0, "granularity",
         format("{} does not divide intermediate_size {}", pieces, dense.intermediate_size));
  const bool countable = pieces >= 1;
  refuse(countable && u.num_experts % pieces != 0, "num_experts",
         format("{} is not a multiple of granularity {}", u.num_experts, pieces));
  refuse(u.num_experts_per_tok < 1 || u.num_experts_per_tok > u.num_experts ||
             (countable && u.num_experts_per_tok % pieces != 0),
         "num_experts_per_tok",
         format("is {}; it must be a multiple of granularity {}, at most {}", u.num_experts_per_tok,
                pieces, u.num_experts));
  if (!problems.empty()) return o;
  o.model_type = llama ? "mixtral" : "qwen3_moe";
  o.num_experts = u.num_experts;
  o.num_experts_per_tok = u.num_experts_per_tok;
  o.moe_intermediate_size = dense.intermediate_size / pieces;
  if (llama) o.intermediate_size = o.moe_intermediate_size;
  o.norm_topk_prob = true;
  return o;
}

Options require_upcycled(const Options& dense, const UpcycleOptions& upcycle) {
  std::vector<Problem> problems;
  Options options = upcycled(dense, upcycle, problems);
  if (problems.empty()) return options;
  std::vector<std::string> lines;
  for (const Problem& problem : problems)
    lines.push_back(format("upcycle.{}: {}", problem.key, problem.message));
  throw Error(ErrorKind::kRecipe, format("{}", join(lines, "\n")));
}

}  // namespace moesaic::arch
