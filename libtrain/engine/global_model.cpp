#include "engine/global_model.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/recipe_reader.h"
#include "config/silos.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "engine/assemble.h"
#include "engine/round_sum.h"
#include "engine/secure_values.h"
#include "engine/starting_weights.h"
#include "federated/doubles.h"
#include "store/checkpoint.h"

namespace moesaic {
namespace {

/// The mean of a vector of a parameter, whose words the files have.
void add_up(const RoundSum& sum, RoundSum::Piece piece,
            const std::vector<std::shared_ptr<const SharedFile>>& files,
            const GlobalModel::Unmask& unmask, std::span<double> out) {
  const std::size_t begin = piece.vector * out.size();  // in the file
  for (std::size_t first = 0; first < out.size(); first += kMaskedAtOnce) {
    const std::size_t count = std::min(kMaskedAtOnce, out.size() - first);
    std::vector<std::uint64_t> total(count, 0);
    for (const auto& file : files) {
      const auto bytes = file->packed(piece.place).substr(4 * (begin + first), 4 * count);
      aggregate::add_in_ring(sum.format(), words_of_bytes(bytes), total);
    }
    piece.first = static_cast<std::int64_t>(first);
    unmask(sum.nonce_of(piece), first, total);
    sum.mean(piece, total, out.subspan(first, count));
  }
}

}  // namespace

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
                          .words = sums_of(recipe_)},
      *parts_.parameters, model_);
}

void GlobalModel::require_change(const aggregate::SiloReport& report,
                                 const std::string& path) const {
  try {
    const auto file = open(report.silo, path);
    if (!is_secure(recipe_)) return file->require_finite();
    RoundSum(recipe_, model_, 1).counts_in(report);  // of masked values nothing else can be told
  } catch (const Error& error) {                     // of its header, too: the fault is the silo's
    if (error.kind() == ErrorKind::kData) throw;
    throw Error(ErrorKind::kData, format("silo {}: its change: {}", report.silo, error.what()));
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
  aggregator_.begin_round(std::move(reports), refused);
  std::vector<HeldChange> in_order;
  for (const aggregate::SiloReport& report : aggregator_.reports())
    in_order.push_back(std::move(held.at(report.silo)));
  finish(in_order, changes);
}

// To the aggregator the mean is the change of one silo. A private sum it divides itself.
void GlobalModel::next_of_sum(const std::vector<ArrivedChange>& changes, std::size_t silos,
                              const Unmask& unmask) {
  if (privacy_) privacy_->charge(changes.size());
  RoundSum sum(recipe_, model_, silos);
  std::vector<aggregate::SiloReport> reports;
  std::vector<std::shared_ptr<const SharedFile>> files;
  RoundSum::Counts counts;
  for (const ArrivedChange& change : changes) {
    reports.push_back(change.told.report);
    files.push_back(open(change.told.report.silo, change.file));
    sum.add(sum.counts_in(change.told.report), counts);
  }
  std::size_t layer = 0;
  for (auto& [name, words] : counts) unmask(sum.nonce_of_counts(layer++), 0, words);
  sum.close(std::move(reports), counts);
  std::vector<HeldChange> held(sums_of(recipe_));
  for (std::size_t vector = 0; vector < held.size(); ++vector) {
    for (std::size_t place = 0; place < model_.shared().size(); ++place) {
      const at::Tensor mean = at::empty(model_.shared()[place].tensor.sizes(), at::kDouble);
      add_up(sum, {.vector = vector, .place = place}, files, unmask, doubles_of(mean));
      held[vector].tensors.push_back(mean);
    }
  }
  aggregator_.begin_sum(changes.size());
  finish(held, changes);
}

void GlobalModel::finish(const std::vector<HeldChange>& held,
                         const std::vector<ArrivedChange>& arrived) {
  if (privacy_) privacy_->draw(state_.round + 1, aggregator_);
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
