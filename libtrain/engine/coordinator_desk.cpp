// Coordinator: what it makes of the messages of silos. A message that cannot be taken is refused
// and named in the log; only what the coordinator's own disk refuses ends the run.
#include <algorithm>
#include <cmath>

#include "aggregate/options.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/site_recipe.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "engine/coordinator.h"
#include "engine/site_words.h"

namespace moesaic {
namespace {

constexpr double kMissedBeats = 3;  // after which a silo counts as lost

double number_in(const Json& body, const char* key) {
  const Json value = body.is_object() ? body.value(key, Json()) : Json();
  return value.is_number() ? value.get<double>() : std::nan("");
}

std::string text_in(const Json& body, const char* key) {
  const Json value = body.is_object() ? body.value(key, Json()) : Json();
  return value.is_string() ? value.get<std::string>() : std::string();
}

void require_equal(const std::string& silo, const char* what, const std::string& mine,
                   const std::string& theirs) {
  if (mine == theirs) return;
  throw Error(
      ErrorKind::kRecipe,
      format("silo {}: its {} differ from the coordinator's: digest {} and not {}", silo, what,
             theirs.empty() ? "none" : printable(theirs, 64), mine.empty() ? "none" : mine),
      format("give all sites the same {} (docs/federated.md, \"Across sites\")", what));
}

}  // namespace

void Coordinator::take(const SiloRequest& request) {
  try {
    request.answer(reply_to(request));
  } catch (const Error& error) {
    context_.log.warn("refused: {}", error.what());
    request.refuse(error);
    if (error.kind() == ErrorKind::kCheckpoint) throw;  // this side's disk
  }
}

sites::Message Coordinator::reply_to(const SiloRequest& request) {
  const std::string& kind = request.message.kind;
  members_.require(request.silo);
  if (kind == sites::kJoinKind) return welcome(request);
  if (kind == words::kReady) {
    admit(request);
  } else if (kind == sites::kChangeKind) {
    take_change(request);
  } else if (kind == words::kValidation) {
    take_validation(request);
  } else if (kind == words::kSecureKeys || kind == words::kSecureShares ||
             kind == words::kSecureOpen) {
    take_secure(request);
  } else if (kind == sites::kGoodbyeKind) {
    part_from(request);
  } else {
    throw Error(ErrorKind::kData, format("silo {}: a message of the kind {}, which a coordinator "
                                         "does not know",
                                         request.silo, printable(kind, 40)));
  }
  return {.kind = words::kTaken};
}

// A silo whose process began anew may be in the middle of a round: it is asked again once it is
// ready.
sites::Message Coordinator::welcome(const SiloRequest& request) {
  const sites::Join join = sites::Join::of(request.message);
  if (join.version != words::program_version())
    context_.log.warn("silo {} runs version {}, this is {}", request.silo,
                      printable(join.version, 40), words::program_version());
  met_ = true;
  members_.leave(request.silo, "has joined and is not ready yet");
  const bool is_over = step() >= max_steps();
  door_.order(request.silo, {.kind = is_over ? std::string(sites::kGoodbyeKind) : words::kPrepare,
                             .round = model_.state().round});
  context_.log.info("silo {} has joined", request.silo);
  const FederatedOptions& federated = *recipe_.federated;
  return {.kind = words::kWelcome,
          .round = model_.state().round,
          .body = {{"recipe", to_yaml(offered_recipe(recipe_))},
                   {"heartbeat_s", federated.heartbeat_s},
                   {"stall_s", federated.stall_s},
                   {"deadline_s", federated.deadline_s}}};
}

void Coordinator::admit(const SiloRequest& request) {
  const Json& body = request.message.body;
  require_equal(request.silo, "base weights", model_.weights_digest(), text_in(body, "weights"));
  require_equal(request.silo, "tokenizer", model_.tokenizer_digest(), text_in(body, "tokenizer"));
  validates_[request.silo] = number_in(body, "valid_targets") > 0;
  members_.come(request.silo);
  late_.erase(request.silo);
  context_.log.info("silo {} is ready", request.silo);
  if (!poll_) return;
  if (secure_ && secure_->keys.contains(request.silo)) {
    poll_->give_up(request.silo, "began anew in the middle of a secure sum");
    return;
  }
  poll_->ask_again(request.silo);
  order(request.silo);
}

void Coordinator::take_change(const SiloRequest& request) {
  const sites::Change change = sites::Change::of(request.message);
  const std::string& silo = request.silo;
  late_.erase(silo);
  if (counts_already(change, silo)) return;
  MOESAIC_CHECK(poll_ && question_.kind == sites::kOfferKind, ErrorKind::kData,
                "silo {}: a change for round {}, and no round is open", silo, change.round);
  if (!poll_->is_new(silo, change.round, change.blob.digest)) return;
  times_.last = round_clock_.seconds();
  if (times_.first == 0) times_.first = times_.last;
  const Stopwatch check;
  try {
    const SiloAnswer told = answer_from(change.notes);
    MOESAIC_CHECK(told.report.silo == silo, ErrorKind::kData, "silo {}: its answer names silo {}",
                  silo, printable(told.report.silo, 64));
    aggregate::require_report(recipe_.federated->aggregator, told.report);
    require_possible(recipe_, told);
    MOESAIC_CHECK(!secure_ || text_in(change.notes, "label") == secure_->label, ErrorKind::kData,
                  "silo {}: its change is masked for another try", silo);
    model_.require_change(told.report, request.file);
  } catch (const Error& error) {
    poll_->give_up(silo, "sent what cannot be used");
    if (!refused_in(change.round).contains(silo))  // however often it tries
      journal_.append({{"event", "refused"},
                       {"round", change.round},
                       {"silo", silo},
                       {"digest", change.blob.digest}});
    poll_->need(needed_in(change.round));
    throw;
  }
  publish(request.file, file_of(change.round, silo));
  times_.check += check.seconds();
  journal_.append({{"event", "answer"},
                   {"round", change.round},
                   {"silo", silo},
                   {"digest", change.blob.digest},
                   {"bytes", change.blob.bytes},
                   {"told", change.notes}});
  poll_->count(silo, change.blob.digest);
  poll_->need(needed_in(change.round));
  context_.log.info("round {}: {} has answered, {} of {}; {:.0f} s are left", change.round, silo,
                    poll_->answered().size(), poll_->options().asked.size(),
                    std::max(0.0, poll_->options().ends_at - now()));
}

void Coordinator::take_validation(const SiloRequest& request) {
  const sites::Message& message = request.message;
  if (!poll_ || question_.kind != words::kEvaluate || message.round != poll_->options().round)
    return;
  if (!poll_->asks(request.silo)) return;
  Validated of{number_in(message.body, "loss"), number_in(message.body, "targets"), {}};
  if (!std::isfinite(of.loss) || !(of.targets > 0 && of.targets < 1e18)) {
    poll_->give_up(request.silo, "sent a validation that cannot be used");
    throw Error(
        ErrorKind::kData,
        format("silo {}: a validation without targets, or whose loss is not finite", request.silo));
  }
  if (message.body.contains("accuracy") && message.body["accuracy"].is_number())
    of.accuracy = message.body["accuracy"].get<double>();
  validated_[request.silo] = of;
  poll_->count(request.silo, "validation");
}

void Coordinator::part_from(const SiloRequest& request) {
  const std::string reason = text_in(request.message.body, "reason");
  if (reason == name_of(ErrorKind::kBudget)) budget_spent_.insert(request.silo);
  members_.leave(request.silo,
                 reason.empty() ? "has left" : format("has left ({})", printable(reason, 40)));
  members_.part(request.silo);
  context_.log.info("silo {} {}", request.silo, members_.why_away(request.silo));
}

void Coordinator::look_at_silos() {
  std::map<std::string, double> silent;
  for (const sites::SiloState& silo : door_.silos()) silent[silo.silo] = silo.silent_s;
  const double patience = kMissedBeats * recipe_.federated->heartbeat_s;
  for (const auto& [silo, lost] : members_.look(silent, patience)) {
    if (lost) {
      context_.log.warn("silo {} {}", silo, members_.why_away(silo));
    } else {
      context_.log.info("silo {} is heard again", silo);
      order(silo);
    }
  }
}

// Said again by a silo that did not hear the answer.
bool Coordinator::counts_already(const sites::Change& change, const std::string& silo) const {
  const auto answers = answers_of(change.round);
  const auto found = answers.find(silo);
  return found != answers.end() && found->second.at("digest") == change.blob.digest &&
         (change.round <= model_.state().round ||
          is_file(file_of(change.round, silo), ErrorKind::kCheckpoint));
}

// Of the last try, where there were several.
std::map<std::string, Json> Coordinator::answers_of(std::int64_t round) const {
  std::map<std::string, Json> answers;
  for (const Json& event : journal_.events()) {
    if (event.at("round") != round) continue;
    if (event.at("event") == "try") answers.clear();
    if (event.at("event") == "answer") answers[event.at("silo").get<std::string>()] = event;
  }
  return answers;
}

std::set<std::string> Coordinator::refused_in(std::int64_t round) const {
  std::set<std::string> refused;
  const auto answers = answers_of(round);
  for (const Json& event : journal_.find("refused", round)) {
    const auto silo = event.at("silo").get<std::string>();
    if (!answers.contains(silo)) refused.insert(silo);
  }
  return refused;
}

// A silo that was refused is one of the hostile ones that the rule stands.
std::size_t Coordinator::needed_in(std::int64_t round) const {
  const FederatedOptions& federated = *recipe_.federated;
  const auto rule = aggregate::without_refused(federated.aggregator, refused_in(round).size());
  const auto fewest = static_cast<std::size_t>(aggregate::fewest_silos(rule));
  const std::size_t needed = answers_needed(federated.quorum, names_in_round(round).size(), fewest);
  return is_secure(recipe_) ? std::max(needed, threshold_of(recipe_)) : needed;
}

std::string Coordinator::file_of(std::int64_t round, const std::string& silo) const {
  return format("{}/round-{:06}.{}.safetensors", exchange_folder(recipe_.run_dir), round, silo);
}

// What had arrived before this process was started. Changes are not forced to the disk: one that a
// power failure has damaged is asked for again.
void Coordinator::count_answers_on_disk() {
  if (question_.kind != sites::kOfferKind) return;
  for (const auto& [silo, event] : answers_of(poll_->options().round)) {
    const std::string file = file_of(poll_->options().round, silo);
    if (!poll_->asks(silo) || !is_file(file, ErrorKind::kCheckpoint)) continue;
    const std::string digest = event.at("digest").get<std::string>();
    if (sites::blob_of(file).digest == digest) {
      poll_->count(silo, digest);
    } else {
      context_.log.warn("round {}: the change of {} is damaged on the disk", poll_->options().round,
                        silo);
      remove_tree(file);
    }
  }
}

}  // namespace moesaic
