#include "engine/federated_run.h"

#include <algorithm>
#include <map>

#include "comm/trace_span.h"
#include "config/recipe_reader.h"
#include "engine/assemble.h"
#include "engine/resume_check.h"
#include "engine/round_sum.h"
#include "engine/secure_values.h"
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

}  // namespace

FederatedRun::FederatedRun(const Recipe& recipe, const RankContext& world, const Options& options)
    : recipe_(recipe),
      world_(world),
      options_(options),
      slots_(silo_slots(silos_of(recipe), world.world.size())),
      slot_(slot_context(world, slots_)),
      first_rank_(slots_.first_rank(slots_.slot_of(world.rank()))),
      aggregator_(make_aggregator(recipe)),
      store_({recipe.run_dir + "/checkpoints", recipe.checkpoint.keep, recipe.checkpoint.dtype}) {
  require_in_one_job(recipe);
  if (recipe.federated->privacy) privacy_.emplace(recipe, world);
  silo_ = make_silo(slots_.slot_of(world.rank()));
  // Those that follow are alike: only their warnings are told.
  slot_.log = Log({.rank = world.rank(), .console = world.is_chief(), .level = LogLevel::kWarning});
  if (!hides_numbers_of_silos(recipe)) valid_ = open_validation(recipe, world);
  if (!options.resume.empty()) restore();
}

std::unique_ptr<SiloTraining> FederatedRun::make_silo(std::size_t silo) {
  const SiloOptions& options = recipe_.federated->silos.at(silo);
  return in_silo(options.name, state_.round + 1, first_rank_, world_.world.size(), [&] {
    TrainingParts parts = assemble(silo_recipe(recipe_, options), architecture_of(recipe_), slot_);
    if (model_.is_empty()) model_.take(*parts.parameters, kinds_of(recipe_, *parts.parameters));
    MOESAIC_CHECK(!model_.shared().empty(), ErrorKind::kRecipe,
                  "federated.aggregator.private leaves nothing that the silos share");
    return std::make_unique<SiloTraining>(recipe_, silo, slot_, model_, std::move(parts));
  });
}

int FederatedRun::run(StopSignal& stop) {
  if (state_.round >= max_steps())
    world_.log.info("the run is finished: round {} of {} is done", state_.round, max_steps());
  while (state_.round < max_steps()) {
    if (next_round(stop)) continue;
    world_.log.info("stopped by a signal in round {}, which --resume auto does again",
                    state_.round + 1);
    return kExitStopped;
  }
  return 0;
}

bool FederatedRun::next_round(StopSignal& stop) {
  const Stopwatch watch;
  const Span span("federated.round", state_.round + 1);
  if (privacy_) privacy_->require_round();
  const std::size_t silos = recipe_.federated->silos.size();
  const std::size_t slot = slots_.slot_of(world_.rank());
  const auto drawn =
      drawn_silos(recipe_.seed, state_.round + 1, silos, recipe_.federated->clients_per_round);
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
  ++state_.round;
  log(answers, watch.seconds());
  CheckpointContent content = content_of(recipe_, silo_->parts(), aggregator_.state(), state_);
  if (privacy_) privacy_->add_notes(content.training);
  store_.save(world_, state_.round, content);
  return true;
}

// What a silo keeps is on disk before the checkpoint of the round is.
FederatedRun::Trained FederatedRun::train_silo(std::size_t silo, StopSignal& stop) {
  if (silo_->silo() != silo) {
    silo_.reset();  // its memory first
    silo_ = make_silo(silo);
    in_silo(silo_->name(), state_.round + 1, first_rank_, world_.world.size(),
            [&] { silo_->load(state_.round); });
  }
  return in_silo(silo_->name(), state_.round + 1, first_rank_, world_.world.size(), [&] {
    check_data(*silo_);
    Trained trained{silo, silo_->train(state_.round + 1, aggregator_.state(), stop),
                    silo_->parts().data};
    trained.round.packed.clear();  // within the job nothing travels
    if (is_secure(recipe_) && !trained.round.stopped)
      trained.scale = scale_in_sum(recipe_, slot_, model_, trained.round.change);
    if (!trained.round.stopped) silo_->save(state_.round + 1);
    return trained;
  });
}

void FederatedRun::check_data(const SiloTraining& training) const {
  agreed(slot_.world, "silo: data", [&] {
    if (!slot_.is_chief() || !state_.data.contains(training.name())) return;
    const std::string changes =
        changed_data(state_.data.at(training.name()), training.parts().data);
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
    const SiloTraining::Round& round = trained.round;
    told.push_back(to_json(SiloAnswer{round.report, round.loss, round.bytes, round.epsilon}));
    told.back()["index"] = trained.silo;
    told.back()["data"] = trained.data;
    told.back()["scale"] = trained.scale;
  }
  const auto all = world_.world.all_gather(told.dump(), "round.answers");
  std::vector<Answer> answers;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    for (const Json& one : Json::parse(all[rank])) {
      const auto first = static_cast<int>(rank);  // a slot's chief is its first rank
      answers.push_back({one.at("index").get<std::size_t>(), first, answer_from(one),
                         one.at("scale").get<double>()});
      const aggregate::SiloReport& report = answers.back().told.report;
      state_.data[report.silo] = one.at("data");
      state_.tokens += static_cast<std::int64_t>(report.tokens);
    }
  }
  std::sort(answers.begin(), answers.end(),
            [](const Answer& a, const Answer& b) { return a.silo < b.silo; });
  return answers;
}

void FederatedRun::next_model(const std::vector<Answer>& answers, std::vector<Trained> mine) {
  std::vector<aggregate::SiloReport> reports;
  std::map<std::string, HeldChange> held;
  std::map<std::string, SumTerm> terms;
  for (const Answer& answer : answers) {
    const aggregate::SiloReport& report = reports.emplace_back(answer.told.report);
    held[report.silo].first_rank = answer.first_rank;
    terms[report.silo] = {report, answer.scale};
  }
  for (Trained& trained : mine)
    held.at(trained.round.report.silo).tensors = std::move(trained.round.change);
  if (privacy_) privacy_->charge(answers.size());
  aggregator_.begin_round(std::move(reports));
  if (privacy_) privacy_->draw(state_.round + 1, aggregator_);
  std::vector<HeldChange> changes;
  std::vector<SumTerm> summed;
  for (const aggregate::SiloReport& report : aggregator_.reports()) {
    changes.push_back(std::move(held.at(report.silo)));
    summed.push_back(std::move(terms.at(report.silo)));
  }
  Exchange::Meeting meeting;
  if (is_secure(recipe_)) {
    meeting = sum_in_one_job(recipe_, model_, std::move(summed));
    aggregator_.begin_sum(changes.size());
  }
  Exchange(world_, changes, std::move(meeting)).apply(aggregator_, model_);
  give_model();
}

void FederatedRun::give_model() {
  model_.give(*silo_->parts().parameters, /*all=*/true);
  silo_->parts().computation.weights.invalidate();
}

void FederatedRun::log(const std::vector<Answer>& answers, double seconds) {
  TrainingParts& parts = silo_->parts();
  std::vector<SiloAnswer> told;
  for (const Answer& answer : answers) told.push_back(answer.told);
  std::optional<Validation> valid;
  if (valid_) valid = validation_of(world_, *parts.model, parts.computation, *valid_);
  MetricsRow row = row_of_round(state_, told, valid, seconds);
  if (privacy_) privacy_->report(row);
  for (const auto& sink : sinks_) sink->write(row);
}

void FederatedRun::restore() {
  std::optional<CheckpointInfo> info = options_.resume == "auto"
                                           ? store_.newest(world_)
                                           : CheckpointStore::open(world_, options_.resume);
  if (!info) {
    world_.log.info("no checkpoint in {} yet: starting anew", recipe_.run_dir);
    return;
  }
  TrainingParts& parts = silo_->parts();
  state_ = load_federation(recipe_, world_, *info, parts, aggregator_.state());
  model_.take(*parts.parameters, kinds_of(recipe_, *parts.parameters));
  if (privacy_) privacy_->restore(info->manifest.value("training", Json::object()));
  in_silo(silo_->name(), state_.round, first_rank_, world_.world.size(),
          [&] { silo_->load(state_.round); });
  world_.log.info("resumed from {} after round {}", info->path, state_.round);
}

}  // namespace moesaic
