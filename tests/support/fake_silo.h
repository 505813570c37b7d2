// A silo of a small federation in the coordinator's own process: SiloTraining, and files in place
// of uploads.
#pragma once

#include <ATen/ops/zeros.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/recipe_reader.h"
#include "config/silos.h"
#include "engine/assemble.h"
#include "engine/global_model.h"
#include "engine/secure_values.h"
#include "engine/silo_training.h"
#include "engine/site_words.h"
#include "federated/doubles.h"
#include "federated/shared_file.h"
#include "protocol/messages.h"

namespace moesaic::test {

class FakeSilo {
 public:
  FakeSilo(const Recipe& recipe, std::size_t silo, const RankContext& context)
      : recipe_(recipe), context_(context) {
    const SiloOptions& options = recipe_.federated->silos.at(silo);
    TrainingParts parts =
        assemble(silo_recipe(recipe_, options), architecture_of(recipe_), context);
    model_.take(*parts.parameters, kinds_of(recipe_, *parts.parameters));
    training_ = std::make_unique<SiloTraining>(recipe_, silo, context_, model_, std::move(parts));
    training_->load(recipe_.federated->rounds);
  }

  const std::string& name() const { return training_->name(); }
  sites::Message ready() const {
    return {.kind = words::kReady,
            .body = {{"weights", starting_digest(recipe_, training_->parts(), context_)},
                     {"tokenizer", digest_of_tokenizer(training_->parts())},
                     {"valid_targets", 0}}};
  }
  /// The change of the round, in `path`.
  sites::Message train(const sites::RoundOffer& offer, const std::string& model,
                       const std::string& path) {
    const SharedFile file({.path = model, .who = "model", .is_model = true},
                          *training_->parts().parameters, model_);
    file.give_to(model_);
    StopSignal stop;
    SiloTraining::Round round = training_->train(offer.round, file.controls(), stop);
    report_ = round.report;
    training_->save(offer.round);
    write_shared_file(path, context_, *training_->parts().parameters, model_,
                      {std::move(round.change), std::move(round.packed)});
    return sites::Change{offer.round, sites::blob_of(path),
                         to_json(SiloAnswer{round.report, round.loss, round.bytes, round.epsilon})}
        .message();
  }

  /// Of a secure sum: keys, shares, and what is opened at the end.
  sites::Message in_sum(const sites::Message& order, std::size_t threshold) {
    const Json& label = order.body.at("label");
    Json body = {{"label", label}};
    if (order.kind == words::kSecureKeys) {
      sum_.emplace(name(), label.get<std::string>());
      body["key"] = aggregate::text_of(sum_->public_key());
    } else if (order.kind == words::kSecureShares) {
      aggregate::RoundKeys keys;
      for (const auto& [silo, key] : order.body.at("keys").items())
        keys[silo] = aggregate::public_key_from(key.get<std::string>());
      body["sealed"] = sum_->seal(keys, threshold);
    } else {
      body["opened"] = sum_->open(sealed_, order.body.at("stayed").get<std::set<std::string>>(),
                                  order.body.at("dropped").get<std::set<std::string>>());
    }
    return {.kind = order.kind, .round = order.round, .body = body};
  }
  /// The file of a change becomes one of masked words.
  void mask(const sites::RoundOffer& offer, const std::string& path) {
    sealed_ = offer.rules.at("sealed").get<std::map<std::string, std::string>>();
    const std::set<std::string> silos(offer.silos.begin(), offer.silos.end());
    const ParameterSet& parameters = *training_->parts().parameters;
    const aggregate::SumFormat format = format_of_sum(recipe_, silos.size());
    SharedValues masked;
    {
      const SharedFile file({.path = path, .who = "change"}, parameters, model_);
      for (std::size_t place = 0; place < model_.shared().size(); ++place) {
        const at::Tensor values =
            at::zeros({parameters[model_.shared()[place].index].numel()}, at::kDouble);
        file.read(place, 0, values);
        values.mul_(factor_in_sum(recipe_, report_));
        std::vector<std::uint64_t> words = aggregate::quantised(format, doubles_of(values));
        sum_->mask(format, silos, place, words);
        masked.packed.push_back(bytes_of_words(words));
      }
    }
    write_shared_file(path, context_, parameters, model_, masked);
  }

 private:
  const Recipe recipe_;
  const RankContext& context_;
  RoundModel model_;
  std::unique_ptr<SiloTraining> training_;
  aggregate::SiloReport report_;  // of the last round
  std::optional<aggregate::SecureSilo> sum_;
  std::map<std::string, std::string> sealed_;  // for it, by sender
};

}  // namespace moesaic::test
