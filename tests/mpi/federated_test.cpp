// The same silos on every layout give the same global model.
#include <gtest/gtest.h>

#include "support/mpi_test.h"
#include "support/shared_folder.h"
#include "support/small_federation.h"

namespace moesaic {
namespace {

/// The global model, whole: the experts of all ranks.
std::vector<at::Tensor> whole_model(const test::Federation& run, const RankContext& context) {
  std::vector<at::Tensor> whole;
  for (const RoundModel::Entry& entry : test::entries_of(run.run->model())) {
    const bool cut = entry.scope == Scope::kExpert;
    whole.push_back(cut ? context.expert.all_gather(entry.tensor, "experts") : entry.tensor);
  }
  return whole;
}

void expect_as_on_one_rank(int silos, std::int64_t ranks, int expert, double tolerance,
                           const std::string& type = "fedavg", const std::string& lora = "",
                            bool secure = false, const std::string& hidden = "") {
  const RankContext context = RankContext::make(
      test::world(), Plan{.world = test::session().size(), .expert = expert}, Log());
  const test::SharedFolder folder(context.world);
  if (context.is_chief()) test::write_silos(folder.path(), silos);
  context.world.barrier("data of the silos");
  Recipe recipe = test::small_federation(folder.path(), silos, ranks);
  recipe.parallel.expert = expert;
  recipe.federated->local_steps = 3;
  recipe.federated->aggregator.type = type;
  if (!lora.empty()) test::add_adapters(lora, recipe);
  if (secure) {
    recipe.federated->secure_aggregation = SecureAggregationOptions{2};
    if (type != "scaffold") recipe.federated->aggregator.experts = "routed_tokens";
  }
  if (!hidden.empty()) {
    test::hide_silos(hidden, recipe);
    recipe.federated->privacy->log_loss = true;
  }
  const test::Federation together(recipe, context);
  recipe.parallel.expert = 1;
  for (SiloOptions& silo : recipe.federated->silos) silo.ranks = 1;
  recipe.run_dir = format("{}/alone-{}", folder.path(), context.rank());
  if (auto& privacy = recipe.federated->privacy) privacy->ledger = recipe.run_dir + "/ledger";
  const test::Federation alone(recipe, RankContext::single());
  const auto found = whole_model(together, context);
  const auto entries = test::entries_of(alone.run->model());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const at::Tensor& expected = entries.at(i).tensor;
    const double scale = expected.abs().max().item<double>() + 1e-30;
    EXPECT_LE(found[i].sub(expected).abs().max().item<double>() / scale, tolerance)
        << entries[i].name << ": " << silos << " silos of " << ranks << " ranks, " << type;
  }
  EXPECT_NEAR(*alone.rows.back().find("valid_loss"),
              context.is_chief() ? *together.rows.back().find("valid_loss")
                                 : *alone.rows.back().find("valid_loss"),
              1e-9);
}

// A silo trains on one rank here and there: the bits are the same, whoever takes turns.
TEST(FederatedOnRanks, SilosOfOneRankGiveTheSameBits) {
  const int ranks = test::session().size();
  for (const char* type : {"fedavg", "scaffold", "median"}) {
    expect_as_on_one_rank(ranks, 1, 1, 0, type);
    expect_as_on_one_rank(2 * ranks, 1, 1, 0, type);
  }
  expect_as_on_one_rank(2 * ranks, 1, 1, 0, "fedavg", "residual");
  for (const char* type : {"fedavg", "scaffold", "norm_bound"})
    expect_as_on_one_rank(2 * ranks, 1, 1, 0, type, "", /*secure=*/true);
  for (const char* where : {"coordinator", "silos"})
    expect_as_on_one_rank(2 * ranks, 1, 1, 0, "fedavg", "", /*secure=*/false, where);
}

TEST(FederatedOnRanks, SilosOfSeveralRanksGiveTheSameModel) {
  const int ranks = test::session().size();
  if (ranks % 2 != 0) return;
  for (const int expert : {1, 2}) {
    expect_as_on_one_rank(ranks / 2, 2, expert, 1e-10);
    expect_as_on_one_rank(ranks / 2, 2, expert, 1e-10, "norm_bound");
    for (const char* lora : {"stacking", "residual"})
      expect_as_on_one_rank(ranks / 2, 2, expert, 1e-10, "fedavg", lora);
    // Values may be rounded to another step of the sum, and are divided by an expert's tokens.
    for (const char* type : {"fedavg", "norm_bound"})
      expect_as_on_one_rank(ranks / 2, 2, expert, 1e-5, type, "", /*secure=*/true);
    for (const char* where : {"coordinator", "silos"})
      expect_as_on_one_rank(ranks / 2, 2, expert, 1e-10, "fedavg", "", /*secure=*/false, where);
  }
}

}  // namespace
}  // namespace moesaic
