// SiteSilo: its part of a round of which only the sum is seen. All of it is the chief's.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <span>

#include "config/silos.h"
#include "core/error.h"
#include "engine/round_sum.h"
#include "engine/secure_values.h"
#include "engine/site_silo.h"
#include "engine/site_words.h"
#include "federated/doubles.h"
#include "federated/shared_file.h"

namespace moesaic {
namespace {

std::set<std::string> names_in_list(const Json& list) { return list.get<std::set<std::string>>(); }

/// Visits the `count` values of a parameter of the file, some at a time.
using Piece = std::function<void(std::uint64_t first, std::span<double> values)>;
void for_pieces(const SharedFile& file, std::size_t place, std::int64_t count, const Piece& use) {
  constexpr auto kAtOnce = static_cast<std::int64_t>(kMaskedAtOnce);
  for (std::int64_t first = 0; first < count; first += kAtOnce) {
    const at::Tensor values = at::empty({std::min(kAtOnce, count - first)}, at::kDouble);
    file.read(place, first, values);
    use(static_cast<std::uint64_t>(first), doubles_of(values));
  }
}

}  // namespace

// An order that does not fit is told and not answered: what was given for one sum serves no other.
void SiteSilo::take_part_in_sum(const sites::Message& order) {
  const std::string wrong = turn_.share(order.kind, [&] {
    MOESAIC_CHECK(is_secure(*recipe_), ErrorKind::kRecipe,
                  "the coordinator asks for a secure sum, which was not accepted");
    Json body;
    try {
      body = answer_in_sum(order);
    } catch (const Json::exception&) {
      return std::string("an order of a secure sum that is none");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      return std::string(error.what());
    }
    door_->send({.kind = order.kind, .round = order.round, .body = body}, "");
    return std::string();
  });
  if (!wrong.empty()) log_.warn("round {}: {}", order.round, wrong);
}

Json SiteSilo::answer_in_sum(const sites::Message& order) {
  const std::string label = order.body.at("label").get<std::string>();
  if (order.kind == words::kSecureKeys) {
    if (!secure_ || secure_->label() != label) {
      secure_.emplace(options_.site.name, label);
      sealed_.clear();
      masked_.clear();
    }
    return {{"label", label}, {"key", aggregate::text_of(secure_->public_key())}};
  }
  MOESAIC_CHECK(secure_ && secure_->label() == label, ErrorKind::kData,
                "an order for a secure sum in which this silo has no part");
  if (order.kind == words::kSecureShares) {
    aggregate::RoundKeys keys;
    for (const auto& [silo, key] : order.body.at("keys").items())
      keys[silo] = aggregate::public_key_from(key.get<std::string>());
    return {{"label", label}, {"sealed", secure_->seal(keys, threshold_of(*recipe_))}};
  }
  return {{"label", label},
          {"opened", secure_->open(sealed_, names_in_list(order.body.at("stayed")),
                                   names_in_list(order.body.at("dropped")))}};
}

std::string SiteSilo::mask(const sites::RoundOffer& offer, Json& told) {
  const bool known = secure_ && offer.rules.value("label", Json()) == secure_->label();
  if (!known) {
    log_.warn("round {}: an offer for a secure sum in which this silo has no part", offer.round);
    return "";
  }
  // Two changes under the same masks would tell their difference.
  const std::string use =
      format("{} {} {}", offer.round, offer.model.digest, join(offer.silos, " "));
  MOESAIC_CHECK(masked_.empty() || masked_ == use, ErrorKind::kRecipe,
                "round {}: the coordinator asks for a second change under the same masks",
                offer.round);
  masked_ = use;
  sealed_ = offer.rules.at("sealed").get<std::map<std::string, std::string>>();
  const std::set<std::string> silos(offer.silos.begin(), offer.silos.end());
  const ParameterSet& parameters = *training_->parts().parameters;
  const SharedFile file(
      {.path = at(kChangeFile), .who = "the change", .way = compression_of(*recipe_->federated)},
      parameters, model_);
  const auto values_at = [&](std::size_t place) {
    return parameters[model_.shared()[place].index].numel();
  };
  SumTerm term{answer_from(kept_->told).report};
  if (recipe_->federated->aggregator.type == "norm_bound") {
    double squares = 0;
    for (std::size_t place = 0; place < model_.shared().size(); ++place)
      for_pieces(file, place, values_at(place), [&](std::uint64_t, std::span<double> values) {
        for (const double value : values) squares += value * value;
      });
    term.scale = scale_in_sum(*recipe_, squares);
  }
  const RoundSum sum(*recipe_, model_, silos.size());
  SharedValues masked;
  for (std::size_t place = 0; place < model_.shared().size(); ++place) {
    std::vector<std::uint8_t>& packed = masked.packed.emplace_back();
    RoundSum::Piece piece{.place = place};
    for (; piece.vector < sums_of(*recipe_); ++piece.vector) {
      for_pieces(file, place, values_at(place), [&](std::uint64_t first, std::span<double> values) {
        turn_.alive();
        piece.first = static_cast<std::int64_t>(first);
        std::vector<std::uint64_t> words = sum.words(term, piece, values);
        secure_->mask(sum.format(), silos, sum.nonce_of(piece), words, first);
        const std::vector<std::uint8_t> bytes = bytes_of_words(words);
        packed.insert(packed.end(), bytes.begin(), bytes.end());
      });
    }
  }
  RoundSum::Counts counts = sum.counts(term.report);
  std::size_t layer = 0;
  for (auto& [name, words] : counts)
    secure_->mask(sum.format(), silos, sum.nonce_of_counts(layer++), words);
  told["routed_tokens"] = counts;
  const std::string path = at("exchange/masked.safetensors");
  write_shared_file(path, RankContext::single(), parameters, model_, masked, {}, Sync::kLater);
  return path;
}

}  // namespace moesaic
