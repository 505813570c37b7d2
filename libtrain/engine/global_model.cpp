#include "engine/global_model.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "config/recipe_reader.h"
#include "config/silos.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "engine/assemble.h"
#include "engine/secure_values.h"
#include "engine/starting_weights.h"
#include "federated/doubles.h"
#include "store/checkpoint.h"

namespace moesaic {

std::string rounds_folder(const std::string& run_dir) { return run_dir + "/rounds"; }
std::string exchange_folder(const std::string& run_dir) { return run_dir + "/exchange"; }

std::string starting_digest(const Recipe& recipe, const TrainingParts& parts,
                            const RankContext& context) {
  if (!parts.base.is_null()) return parts.base.at("digest").get<std::string>();
  return StartingWeights(recipe, architecture_of(recipe), context).digest(recipe, context);
}

std::string digest_of_tokenizer(const TrainingParts& parts) {
  return digest_of(json_text(parts.tokenizer));
}

GlobalModel::GlobalModel(const Recipe& recipe, const RankContext& context)
    : recipe_(recipe),
      context_(context),
      parts_(assemble_model(recipe, architecture_of(recipe), context)),
      aggregator_(make_aggregator(recipe)),
      store_({recipe.run_dir + "/checkpoints", recipe.checkpoint.keep, recipe.checkpoint.dtype}),
      weights_digest_(starting_digest(recipe, parts_, context)),
      tokenizer_digest_(digest_of_tokenizer(parts_)) {
  if (recipe.federated->privacy) privacy_.emplace(recipe, context);
  make_folder(rounds_folder(recipe.run_dir));
  make_folder(exchange_folder(recipe.run_dir));
  if (const auto info = store_.newest(context)) {
    state_ = load_federation(recipe, context, *info, parts_, aggregator_.state());
    if (privacy_) privacy_->restore(info->manifest.value("training", Json::object()));
    context.log.info("resumed from {} after round {}", info->path, state_.round);
  }
  model_.take(*parts_.parameters, kinds_of(recipe, *parts_.parameters));
  MOESAIC_CHECK(!model_.shared().empty(), ErrorKind::kRecipe,
                "federated.aggregator.private leaves nothing that the silos share");
}

void GlobalModel::require_round() {
  if (privacy_) privacy_->require_round();
}

void GlobalModel::report(MetricsRow& row) const {
  if (privacy_) privacy_->report(row);
}

std::uint64_t GlobalModel::most_change_bytes() const {
  std::uint64_t bytes = std::uint64_t{64} << 20;  // headers
  for (const RoundModel::Entry& entry : model_.shared())
    bytes += 16 * static_cast<std::uint64_t>(entry.tensor.numel());
  return bytes;
}

std::string GlobalModel::file() const {
  return state_.round == 0
             ? exchange_folder(recipe_.run_dir) + "/start.safetensors"
             : format("{}/round-{:06}.safetensors", rounds_folder(recipe_.run_dir), state_.round);
}

void GlobalModel::write_file() const {
  SharedValues values;
  for (const RoundModel::Entry& entry : model_.shared()) values.tensors.push_back(entry.tensor);
  for (const RoundModel::Entry& entry : model_.base()) values.tensors.push_back(entry.tensor);
  write_shared_file(file(), context_, *parts_.parameters, model_, values,
                    controls_of(aggregator_.state()));
}

std::shared_ptr<const SharedFile> GlobalModel::open(const std::string& silo,
                                                    const std::string& path) const {
  return std::make_shared<SharedFile>(
      SharedFile::Options{.path = path,
                          .who = format("silo {}: its change", silo),
                          .way = compression_of(*recipe_.federated),
                          .masked = is_secure(recipe_)},
      *parts_.parameters, model_);
}

void GlobalModel::require_change(const std::string& silo, const std::string& path) const {
  try {
    const auto file = open(silo, path);
    if (!is_secure(recipe_)) file->require_finite();  // of masked values nothing can be told
  } catch (const Error& error) {                      // of its header, too: the fault is the silo's
    if (error.kind() == ErrorKind::kData) throw;
    throw Error(ErrorKind::kData, format("silo {}: its change: {}", silo, error.what()));
  }
}

void GlobalModel::next(const std::vector<ArrivedChange>& changes, std::size_t refused) {
  if (privacy_) privacy_->charge(changes.size());
  std::vector<aggregate::SiloReport> reports;
  std::map<std::string, HeldChange> held;
  for (const ArrivedChange& change : changes) {
    const std::string& silo = change.told.report.silo;
    reports.push_back(change.told.report);
    held[silo].file = open(silo, change.file);
  }
  finish(std::move(reports), std::move(held), changes, refused);
}

// To the aggregator the mean is the change of one silo. A private sum it divides itself.
void GlobalModel::next_of_sum(const std::vector<ArrivedChange>& changes,
                              const aggregate::SumFormat& format, const Unmask& unmask) {
  if (privacy_) privacy_->charge(changes.size());
  const bool by_length = recipe_.federated->aggregator.type == "fednova";
  double parts = 0, lengths = 0;  // of the silos' paths, each times its part
  std::vector<std::shared_ptr<const SharedFile>> files;
  for (const ArrivedChange& change : changes) {
    const double part = part_in_sum(recipe_, change.told.report);
    parts += part;
    lengths += part * change.told.report.steps;
    files.push_back(open(change.told.report.silo, change.file));
  }
  MOESAIC_CHECK(parts > 0, ErrorKind::kData, "the silos of the round have trained on nothing");
  std::map<std::string, HeldChange> held;
  std::vector<at::Tensor>& mean = held["sum"].tensors;
  for (std::size_t place = 0; place < model_.shared().size(); ++place) {
    mean.push_back(at::empty(model_.shared()[place].tensor.sizes(), at::kDouble));
    const std::span<double> out = doubles_of(mean.back());
    for (std::size_t first = 0; first < out.size(); first += kMaskedAtOnce) {
      const std::size_t count = std::min(kMaskedAtOnce, out.size() - first);
      std::vector<std::uint64_t> sum(count, 0);
      for (const auto& file : files)
        aggregate::add_in_ring(
            format, words_of_bytes(file->packed(place).substr(4 * first, 4 * count)), sum);
      unmask(place, first, sum);
      const std::vector<double> values = aggregate::dequantised(format, sum);
      std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(first));
    }
    if (!privacy_) mean.back().div_(parts);
    if (by_length) mean.back().mul_(lengths / parts);
  }
  finish({{.silo = "sum", .examples = 1, .tokens = 1, .steps = 1, .rate_sum = 1}}, std::move(held),
         changes);
}

void GlobalModel::finish(std::vector<aggregate::SiloReport> reports,
                         std::map<std::string, HeldChange> changes,
                         const std::vector<ArrivedChange>& arrived, std::size_t refused) {
  aggregator_.begin_round(std::move(reports), refused);
  if (privacy_) privacy_->draw(state_.round + 1, aggregator_);
  std::vector<HeldChange> held;
  for (const aggregate::SiloReport& report : aggregator_.reports())
    held.push_back(std::move(changes.at(report.silo)));
  Exchange(context_, held).apply(aggregator_, model_);
  model_.give(*parts_.parameters, /*all=*/true);
  ++state_.round;
  for (const ArrivedChange& change : arrived)
    state_.tokens += static_cast<std::int64_t>(change.told.report.tokens);
  const Stopwatch saving;
  CheckpointContent content = content_of(recipe_, parts_, aggregator_.state(), state_);
  if (privacy_) privacy_->add_notes(content.training);
  store_.save(context_, state_.round, content);
  write_file();
  saving_s_ = saving.seconds();
}

}  // namespace moesaic
