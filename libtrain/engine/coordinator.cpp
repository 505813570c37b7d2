#include "engine/coordinator.h"

#include <algorithm>

#include "aggregate/options.h"
#include "comm/trace_span.h"
#include "config/silos.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/path.h"
#include "engine/site_words.h"
#include "federated/rounds.h"

namespace moesaic {
namespace {

constexpr double kTickSeconds = 0.2;

std::vector<std::string> names_of_silos(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const SiloOptions& silo : recipe.federated->silos) names.push_back(silo.name);
  return names;
}

}  // namespace

Coordinator::Coordinator(const Recipe& recipe, const RankContext& context, GlobalModel& model,
                         RoundJournal& journal, SilosDoor& door)
    : recipe_(recipe),
      context_(context),
      model_(model),
      journal_(journal),
      door_(door),
      members_(names_of_silos(recipe)) {
  close_in_journal();
}

int Coordinator::run(StopSignal& stop) {
  const bool over = model_.state().round >= max_steps() && step() >= max_steps();
  if (over && journal_.last("end") >= max_steps()) {
    context_.log.info("the run is finished: round {} of {} is done", model_.state().round,
                      max_steps());
    return 0;
  }
  // Before silos come, where they are not needed for the last row.
  if (!over && step() >= model_.state().round) model_.require_round();
  publish_model();
  bool going = over || gather(stop);
  if (going && step() < model_.state().round) going = finish_row(stop);
  while (going && model_.state().round < max_steps()) going = next_round_in_budget(stop);
  if (going) going = say_goodbye(stop);
  if (going) return 0;
  context_.log.info("stopped by a signal; started again it goes on after round {}",
                    model_.state().round);
  return kExitStopped;
}

bool Coordinator::serve(const Done& done, StopSignal& stop) {
  while (!done()) {
    if (stop.requested()) return false;
    if (const auto request = door_.next(kTickSeconds)) take(*request);
    look_at_silos();
  }
  return true;
}

// Whoever took part in the last round, or all, are waited for before the first round; what comes
// later does not hold up the others.
bool Coordinator::gather(StopSignal& stop) {
  const double ends_at = now() + recipe_.federated->deadline_s;
  const std::vector<std::string> awaited = expected();
  context_.log.info("waiting for {}", join(awaited, ", "));
  const auto all_here = [&] {
    return now() >= ends_at || std::all_of(awaited.begin(), awaited.end(), [&](const auto& silo) {
             return members_.is_here(silo) || members_.has_parted(silo);
           });
  };
  return serve(all_here, stop);
}

bool Coordinator::ask(SiloPoll::Options poll, Question question, StopSignal& stop) {
  poll_.emplace(std::move(poll));
  question_ = std::move(question);
  count_answers_on_disk();
  const std::set<std::string> here = members_.here();
  for (const std::string& silo : here) order(silo);
  return serve([&] { return poll_->status(members_, now()) != SiloPoll::Status::kOpen; }, stop);
}

// What is open, to a silo that has not answered it.
void Coordinator::order(const std::string& silo) {
  if (!poll_ || !poll_->asks(silo) || poll_->answered().contains(silo)) return;
  door_.order(silo, question_.order(silo));
}

// A budget of the federation that is spent is its end: the silos go home.
bool Coordinator::next_round_in_budget(StopSignal& stop) {
  try {
    model_.require_round();
    return next_round(stop);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBudget && recipe_.federated->privacy) send_home(stop);
    throw;
  }
}

bool Coordinator::next_round(StopSignal& stop) {
  round_clock_ = {};
  times_ = {};
  const Span span("federated.round", model_.state().round + 1);
  const FederatedOptions& federated = *recipe_.federated;
  const std::int64_t round = model_.state().round + 1;
  const double ends_at = now() + federated.deadline_s;
  std::vector<std::string> asked = names_in_round(round);
  const std::size_t needed = needed_in(round);
  context_.log.info("round {} of {}: {}", round, max_steps(), join(asked, ", "));
  if (is_secure(recipe_) && !agree_on_keys(asked, needed, ends_at, stop)) return false;
  sites::RoundOffer offer{
      .round = round, .model = blob_, .silos = asked, .deadline_s = federated.deadline_s};
  const auto order_of = [this, offer](const std::string& silo) {
    sites::RoundOffer own = offer;
    own.rules = secure_rules(silo);
    return own.message();
  };
  if (!ask({round, asked, needed, ends_at}, {std::string(sites::kOfferKind), order_of}, stop))
    return false;
  if (poll_->status(members_, now()) == SiloPoll::Status::kFailed) fail_round();
  if (secure_ && !open_shares(stop)) return false;
  close_round();
  return finish_row(stop);
}

void Coordinator::close_round() {
  const std::string missing = poll_->missing(members_);
  if (!missing.empty())
    context_.log.warn("round {} closes without some silos: {}", model_.state().round + 1, missing);
  std::vector<ArrivedChange> changes;
  const std::int64_t round = model_.state().round + 1;
  for (const auto& [silo, event] : answers_of(round))
    if (poll_->answered().contains(silo))
      changes.push_back({answer_from(event.at("told")), file_of(round, silo)});
  for (const std::string& silo : poll_->options().asked)
    if (!poll_->answered().contains(silo)) late_.insert(silo);
  poll_.reset();
  const std::string old_file = model_.file();
  Stopwatch part;
  next_model(changes);
  times_.save = model_.saving_seconds();
  times_.add = part.lap() - times_.save;
  close_in_journal();
  door_.withdraw(blob_);
  publish_model();
  if (old_file.starts_with(exchange_folder(recipe_.run_dir))) remove_tree(old_file);
  times_.offer = part.lap();
  note_times();
}

// After the close: a round whose times were lost is closed none the less.
void Coordinator::note_times() {
  times_.all = round_clock_.seconds();
  journal_.append(times_.event(model_.state().round));
  context_.log.info("round {} took {}", model_.state().round, times_.text());
}

// The checkpoint says which rounds are done; the journal, and the file of the round, follow it.
void Coordinator::close_in_journal() {
  const std::int64_t round = model_.state().round;
  const std::int64_t closed = std::max<std::int64_t>(0, journal_.last("close"));
  if (closed > round || closed + 1 < round) {
    throw Error(ErrorKind::kCheckpoint,
                format("the newest whole checkpoint is of round {}, and the journal has closed "
                       "round {}",
                       round, closed),
                "put back the missing files, or start a new run from this model with model.from");
  }
  if (!path_exists(model_.file(), ErrorKind::kCheckpoint)) model_.write_file();
  if (closed == round) return;
  Json silos = Json::array();
  for (const auto& [silo, event] : answers_of(round)) {
    silos.push_back(silo);
    remove_tree(file_of(round, silo));
  }
  Json close = {{"event", "close"},
                {"round", round},
                {"silos", silos},
                {"file", file_name(model_.file())},
                {"digest", digest_of_file(model_.file())}};
  if (const std::set<std::string> refused = refused_in(round); !refused.empty()) {
    const auto rule = aggregate::without_refused(recipe_.federated->aggregator, refused.size());
    const bool has_f = aggregate::fewest_silos(recipe_.federated->aggregator) > 1;
    close["refused"] = refused;
    if (has_f) close["f"] = rule.f;
    if (has_f)
      context_.log.info("round {}: {} with f {}, as {} of its silos are refused already", round,
                        rule.type, rule.f, refused.size());
  }
  journal_.append(std::move(close));
}

bool Coordinator::finish_row(StopSignal& stop) {
  const std::int64_t round = model_.state().round;
  std::vector<std::string> asked;
  for (const auto& [silo, validates] : validates_)
    if (validates && members_.is_here(silo) && !late_.contains(silo)) asked.push_back(silo);
  validated_.clear();
  const sites::RoundOffer offer{
      .round = round, .model = blob_, .silos = asked, .deadline_s = recipe_.federated->deadline_s};
  sites::Message order = offer.message();
  order.kind = words::kEvaluate;
  const Question question{order.kind, [order](const std::string&) { return order; }};
  if (!asked.empty() && !ask({round, asked, 0, now() + offer.deadline_s}, question, stop))
    return false;
  poll_.reset();
  std::vector<SiloAnswer> answers;
  for (const auto& [silo, event] : answers_of(round))
    answers.push_back(answer_from(event.at("told")));
  double seconds = 0;
  for (const Json& event : journal_.find("time", round)) seconds = event.at("seconds");
  MetricsRow row = row_of_round(model_.state(), answers, validation(), seconds);
  model_.report(row);
  if (const std::size_t refused = refused_in(round).size(); refused > 0)
    row.set("silos_refused", static_cast<double>(refused));
  for (const auto& sink : sinks_) sink->write(row);
  journal_.append({{"event", "row"}, {"round", round}});
  return true;
}

std::optional<Validation> Coordinator::validation() const {
  double loss = 0, found = 0, targets = 0;
  bool labels = !validated_.empty();
  for (const auto& [silo, of] : validated_) {
    loss += of.loss * of.targets;
    found += of.accuracy.value_or(0) * of.targets;
    targets += of.targets;
    labels = labels && of.accuracy.has_value();
  }
  if (targets == 0) return std::nullopt;
  Validation validation{.loss = loss / targets, .accuracy = {}};
  if (labels) validation.accuracy = found / targets;
  return validation;
}

bool Coordinator::say_goodbye(StopSignal& stop) {
  const bool gone = send_home(stop);
  if (gone) journal_.append({{"event", "end"}, {"round", max_steps()}});
  return gone;
}

// A coordinator that began anew after the last round waits for silos that do not know of its end.
bool Coordinator::send_home(StopSignal& stop) {
  const double ends_at = now() + recipe_.federated->drain_s;
  for (const std::string& silo : members_.all())
    door_.order(silo, {.kind = std::string(sites::kGoodbyeKind), .round = max_steps()});
  const auto all_gone = [&] {
    const std::vector<sites::SiloState> silos = door_.silos();
    return met_ && std::all_of(silos.begin(), silos.end(),
                               [&](const auto& silo) { return members_.is_lost(silo.silo); });
  };
  return serve([&] { return now() >= ends_at || all_gone(); }, stop);
}

void Coordinator::fail_round() const {
  const SiloPoll::Options& poll = poll_->options();
  const std::string text =
      format("round {}: {} of {} silos have answered and {} are needed: {}", poll.round,
             poll_->answered().size(), poll.asked.size(), poll.needed, poll_->missing(members_));
  if (!budget_spent_.empty())
    throw Error(ErrorKind::kBudget, text, "these silos' data may not be used further");
  throw Error(ErrorKind::kCommunication, text,
              "look at these silos and start the coordinator again: it goes on with this round; "
              "federated.quorum and deadline_s say what a round needs");
}

std::vector<std::string> Coordinator::names_in_round(std::int64_t round) const {
  const std::vector<std::string>& all = members_.all();
  std::vector<std::string> names;
  for (const std::size_t i :
       drawn_silos(recipe_.seed, round, all.size(), recipe_.federated->clients_per_round))
    names.push_back(all[i]);
  return names;
}

std::vector<std::string> Coordinator::expected() const {
  const auto closed = journal_.find("close", model_.state().round);
  if (model_.state().round == 0 || closed.empty() || recipe_.federated->clients_per_round)
    return members_.all();
  return closed.back().at("silos").get<std::vector<std::string>>();
}

void Coordinator::publish_model() {
  if (!path_exists(model_.file(), ErrorKind::kCheckpoint)) model_.write_file();
  blob_ = door_.publish(model_.file());
}

}  // namespace moesaic
