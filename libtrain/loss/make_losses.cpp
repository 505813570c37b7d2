#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "loss/loss_term.h"

namespace moesaic {
namespace {

std::unique_ptr<LossTerm> balance_loss(const BalanceOptions& balance,
                                       const std::optional<UnitMean>& units) {
  const double c = balance.coefficient;
  if (balance.type == "switch") return std::make_unique<SwitchBalance>(c);
  if (balance.type == "transformers") return std::make_unique<TransformersBalance>(c);
  if (balance.type == "gshard") return std::make_unique<GshardBalance>(c);
  if (balance.type == "global") return std::make_unique<GlobalBalance>(c);
  if (balance.type == "sequence" || balance.type == "bias+sequence")
    return std::make_unique<SequenceBalance>(c, units);
  return nullptr;  // none, or a bias alone
}

}  // namespace

LossTerms make_losses(const Recipe& recipe, const arch::Options& arch) {
  std::optional<UnitMean> units;
  if (recipe.privacy) units = UnitMean{recipe.privacy->expected_batch_size};
  LossTerms losses;
  losses.push_back(std::make_unique<CrossEntropy>(units));
  if (arch.num_nextn_predict_layers > 0)
    losses.push_back(std::make_unique<FurtherCrossEntropy>(recipe.train.mtp_coefficient, units));
  if (!arch.is_moe()) return losses;
  const MoeOptions& moe = recipe.moe;
  if (auto balance = balance_loss(moe.balance, units)) losses.push_back(std::move(balance));
  if (moe.router_z_coefficient > 0)
    losses.push_back(std::make_unique<RouterZ>(moe.router_z_coefficient, units));
  if (moe.router_entropy_coefficient > 0)
    losses.push_back(std::make_unique<RouterEntropy>(moe.router_entropy_coefficient, units));
  return losses;
}

}  // namespace moesaic
