#include "engine/federated_run.h"

#include <algorithm>
#include <map>

#include "comm/trace_span.h"
#include "config/name_pattern.h"
#include "config/recipe_reader.h"
#include "config/training_table.h"
#include "core/memory.h"
#include "engine/assemble.h"
#include "engine/federated_notes.h"
#include "engine/open_data.h"
#include "engine/resume_check.h"
#include "engine/saved_state.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

RankContext slot_context(const RankContext& world, const SiloSlots& slots) {
  const std::size_t slot = slots.slot_of(world.rank());
  const Plan plan{.world = slots.ranks[slot], .expert = world.plan.expert};
  MOESAIC_CHECK(plan.world % plan.expert == 0, ErrorKind::kRecipe,
                "parallel.expert is {}, which does not divide the {} ranks of a silo", plan.expert,
                plan.world);
  return RankContext::make(world.world.split(static_cast<int>(slot), "silo"), plan, world.log,
                           world.device);
}

/// What the recipe has silos do with each parameter. KeyError for a pattern that matches nothing.
RoundModel::KindOf kinds_of(const Recipe& recipe, const ParameterSet& parameters) {
  std::vector<NamePattern> patterns;
  for (const std::string& text : recipe.federated->aggregator.private_names)
    patterns.emplace_back("federated.aggregator.private", text);
  const auto matches = [](const NamePattern& pattern, const std::string& name) {
    const auto names = names_in_patterns(name);
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& one) { return pattern.matches(one); });
  };
  for (const NamePattern& pattern : patterns) {
    if (std::none_of(parameters.begin(), parameters.end(),
                     [&](const Parameter& p) { return matches(pattern, p.name); }))
      throw KeyError("federated.aggregator.private",
                     format("'{}' matches no parameter", pattern.text()));
  }
  return [&recipe, patterns, matches](const Parameter& p) {
    using Kind = RoundModel::Kind;
    if (!is_saved(recipe, p) || !(p.trainable || p.correction_bias)) return Kind::kFixed;
    const bool own = std::any_of(patterns.begin(), patterns.end(), [&](const NamePattern& pattern) {
      return matches(pattern, p.name);
    });
    return own ? Kind::kPrivate : Kind::kShared;
  };
}

// Which ranks train a silo may change from job to job.
Recipe without_layout(Recipe recipe) {
  if (!recipe.federated) return recipe;
  for (SiloOptions& silo : recipe.federated->silos) silo.ranks = 1;
  return recipe;
}

/// Errors of a silo's ranks name it and the round. `shared`: from its slot's ranks to those of
/// world.
template <class Work>
auto in_silo(const std::string& name, std::int64_t round, int first_rank, int world, Work work) {
  const std::string where = format("silo {}, round {}: ", name, round);
  try {
    return work();
  } catch (const SharedError& error) {
    throw SharedError(Error(error.kind(), where + error.plain(), error.hint()),
                      first_rank + error.rank(), world);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCommunication) throw;
    throw Error(error.kind(), where + error.what(), error.hint());
  }
}

std::unique_ptr<EvalData> open_validation(const Recipe& recipe, const RankContext& world) {
  const Recipe evaluated = evaluation_recipe(recipe);
  if (evaluated.data.valid.empty()) return nullptr;
  const auto tokenizer = make_tokenizer(recipe.tokenizer);
  return open_data(evaluated, architecture_of(recipe), *tokenizer, world).valid;
}

}  // namespace

FederatedRun::FederatedRun(const Recipe& recipe, const RankContext& world, const Options& options)
    : recipe_(recipe),
      world_(world),
      options_(options),
      slots_(silo_slots(silos_of(recipe), world.world.size())),
      slot_(slot_context(world, slots_)),
      first_rank_(slots_.first_rank(slots_.slot_of(world.rank()))),
      aggregator_(recipe.federated->aggregator, recipe.federated->silos.size()),
      store_({recipe.run_dir + "/checkpoints", recipe.checkpoint.keep, recipe.checkpoint.dtype}) {
  require_in_one_job(recipe);
  silo_ = make_silo(slots_.slot_of(world.rank()));
  // Those that follow are alike: only their warnings are told.
  slot_.log = Log({.rank = world.rank(), .console = world.is_chief(), .level = LogLevel::kWarning});
  valid_ = open_validation(recipe, world);
  if (!options.resume.empty()) restore();
}

std::unique_ptr<SiloTraining> FederatedRun::make_silo(std::size_t silo) {
  const SiloOptions& options = recipe_.federated->silos.at(silo);
  return in_silo(options.name, round_ + 1, first_rank_, world_.world.size(), [&] {
    TrainingParts parts = assemble(silo_recipe(recipe_, options), architecture_of(recipe_), slot_);
    if (model_.is_empty()) model_.take(*parts.parameters, kinds_of(recipe_, *parts.parameters));
    MOESAIC_CHECK(!model_.shared().empty(), ErrorKind::kRecipe,
                  "federated.aggregator.private leaves nothing that the silos share");
    return std::make_unique<SiloTraining>(recipe_, silo, slot_, model_, std::move(parts));
  });
}

int FederatedRun::run(StopSignal& stop) {
  if (round_ >= max_steps())
    world_.log.info("the run is finished: round {} of {} is done", round_, max_steps());
  while (round_ < max_steps()) {
    if (next_round(stop)) continue;
    world_.log.info("stopped by a signal in round {}, which --resume auto does again", round_ + 1);
    return kExitStopped;
  }
  return 0;
}

bool FederatedRun::next_round(StopSignal& stop) {
  const Stopwatch watch;
  const Span span("federated.round", round_ + 1);
  const std::size_t silos = recipe_.federated->silos.size();
  const std::size_t slot = slots_.slot_of(world_.rank());
  const auto drawn =
      drawn_silos(recipe_.seed, round_ + 1, silos, recipe_.federated->clients_per_round);
  std::vector<Trained> mine;
  bool stopped = false;
  for (const Turn& turn : turns_of(drawn, slots_.size(), silos)) {
    if (turn[slot] && !stopped) mine.push_back(train_silo(*turn[slot], stop));
    stopped = stopped || stop.requested() || (!mine.empty() && mine.back().round.stopped);
    stopped = world_.world.all_reduce(stopped ? 1.0 : 0.0, ReduceOp::kMax, "round.stop") > 0;
    if (stopped) return false;
  }
  const std::vector<Answer> answers = exchange_answers(mine);
  next_model(answers, std::move(mine));
  ++round_;
  log(answers, watch.seconds());
  store_.save(world_, round_, content());
  return true;
}

// What a silo keeps is on disk before the checkpoint of the round is.
FederatedRun::Trained FederatedRun::train_silo(std::size_t silo, StopSignal& stop) {
  if (silo_->silo() != silo) {
    silo_.reset();  // its memory first
    silo_ = make_silo(silo);
    in_silo(silo_->name(), round_ + 1, first_rank_, world_.world.size(),
            [&] { silo_->load(round_); });
  }
  return in_silo(silo_->name(), round_ + 1, first_rank_, world_.world.size(), [&] {
    check_data(*silo_);
    Trained trained{silo, silo_->train(round_ + 1, aggregator_.state(), stop), silo_->parts().data};
    if (!trained.round.stopped) silo_->save(round_ + 1);
    return trained;
  });
}

void FederatedRun::check_data(const SiloTraining& training) const {
  agreed(slot_.world, "silo: data", [&] {
    if (!slot_.is_chief() || !data_.contains(training.name())) return;
    const std::string changes = changed_data(data_.at(training.name()), training.parts().data);
    if (changes.empty()) return;
    const std::string message = "the data have changed since its last round:" + changes;
    if (!options_.allow_changed_data)
      throw Error(ErrorKind::kData, message,
                  "put the old files back, or go on with the new ones by --allow-changed-data");
    slot_.log.warn("silo {}: {}", training.name(), message);
  });
}

// The chief of each slot speaks for its silos.
std::vector<FederatedRun::Answer> FederatedRun::exchange_answers(const std::vector<Trained>& mine) {
  Json told = Json::array();
  for (const Trained& trained : mine) {
    if (!slot_.is_chief()) break;
    told.push_back(answer_json(trained.round.report, trained.round.loss));
    told.back()["index"] = trained.silo;
    told.back()["bytes"] = trained.round.bytes;
    told.back()["data"] = trained.data;
  }
  const auto all = world_.world.all_gather(told.dump(), "round.answers");
  std::vector<Answer> answers;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    for (const Json& one : Json::parse(all[rank])) {
      const auto first = static_cast<int>(rank);  // a slot's chief is its first rank
      answers.push_back({one.at("index").get<std::size_t>(), first, report_from(one),
                         loss_from(one), one.at("bytes").get<std::int64_t>()});
      data_[answers.back().report.silo] = one.at("data");
      tokens_ += static_cast<std::int64_t>(answers.back().report.tokens);
    }
  }
  std::sort(answers.begin(), answers.end(),
            [](const Answer& a, const Answer& b) { return a.silo < b.silo; });
  return answers;
}

void FederatedRun::next_model(const std::vector<Answer>& answers, std::vector<Trained> mine) {
  std::vector<aggregate::SiloReport> reports;
  std::map<std::string, HeldChange> held;
  for (const Answer& answer : answers) {
    reports.push_back(answer.report);
    held[answer.report.silo].first_rank = answer.first_rank;
  }
  for (Trained& trained : mine)
    held.at(trained.round.report.silo).tensors = std::move(trained.round.change);
  aggregator_.begin_round(std::move(reports));
  std::vector<HeldChange> changes;
  for (const aggregate::SiloReport& report : aggregator_.reports())
    changes.push_back(std::move(held.at(report.silo)));
  Exchange(world_, changes).apply(aggregator_, model_);
  give_model();
}

void FederatedRun::give_model() {
  model_.give(*silo_->parts().parameters, /*all=*/true);
  silo_->parts().computation.weights.invalidate();
}

void FederatedRun::log(const std::vector<Answer>& answers, double seconds) {
  TrainingParts& parts = silo_->parts();
  MetricsRow row;
  row.step = round_;
  row.set("round", static_cast<double>(round_));
  row.set("tokens", static_cast<double>(tokens_));
  double loss = 0, tokens = 0, bytes = 0;
  for (const Answer& answer : answers) {
    bytes += static_cast<double>(answer.bytes);
    loss += answer.loss * answer.report.tokens;
    tokens += answer.report.tokens;
  }
  if (tokens > 0) row.set("loss", loss / tokens);
  for (const Answer& answer : answers)
    row.set(format("silo_{}_loss", answer.report.silo), answer.loss);
  if (valid_) {
    const Validation valid = validation_of(world_, *parts.model, parts.computation, *valid_);
    row.set("valid_loss", valid.loss);
    if (valid.accuracy) row.set("valid_accuracy", *valid.accuracy);
  }
  row.set("change_bytes", bytes);
  row.set("tokens_per_s", tokens / seconds);
  row.set("step_s", seconds);
  row.set("memory_peak_mb", peak_memory_mb());
  for (const auto& sink : sinks_) sink->write(row);
}

CheckpointContent FederatedRun::content() const {
  const TrainingParts& parts = silo_->parts();
  CheckpointContent content;
  content.model = on_host(saved_part(recipe_, *parts.parameters));
  content.config = parts.config;
  content.base = parts.base;
  content.tokenizer = parts.tokenizer;
  content.hub = parts.origin;
  content.training = {{"step", round_}, {"tokens", tokens_}, {"recipe", to_yaml(recipe_)}};
  content.training["silos"] = data_;
  Json& sizes = content.training["server"] = Json::object();
  for (const auto& [name, values] : aggregator_.state()) {
    sizes[name] = values.size();
    content.state.push_back(server_entry(name, values));
  }
  return content;
}

void FederatedRun::restore() {
  std::optional<CheckpointInfo> info = options_.resume == "auto"
                                           ? store_.newest(world_)
                                           : CheckpointStore::open(world_, options_.resume);
  if (!info) {
    world_.log.info("no checkpoint in {} yet: starting anew", recipe_.run_dir);
    return;
  }
  const FederatedNotes notes = FederatedNotes::of(*info);
  check_resumable(without_layout(recipe_from_yaml(notes.recipe, info->path)),
                  without_layout(recipe_), info->path);
  agreed(world_.world, "resume: folder", [&] {
    if (world_.is_chief()) require_own_folder(*info, recipe_.run_dir);
  });
  TrainingParts& parts = silo_->parts();
  CheckpointContent saved;
  saved.model = on_host(saved_part(recipe_, *parts.parameters));
  for (const auto& [name, size] : notes.server)
    saved.state.push_back(server_entry(name, std::vector<double>(size)));
  CheckpointStore::load(world_, *info, saved);
  copy_back(saved.model, saved_part(recipe_, *parts.parameters));
  std::size_t place = 0;
  for (const auto& [name, size] : notes.server)
    aggregator_.state()[name] = values_of(saved.state[place++]);
  parts.computation.weights.invalidate();
  parts.origin = CheckpointStore::origin(world_, *info);
  model_.take(*parts.parameters, kinds_of(recipe_, *parts.parameters));
  round_ = info->step;
  tokens_ = notes.tokens;
  data_ = notes.silos;
  in_silo(silo_->name(), round_, first_rank_, world_.world.size(), [&] { silo_->load(round_); });
  world_.log.info("resumed from {} after round {}", info->path, round_);
}

}  // namespace moesaic
