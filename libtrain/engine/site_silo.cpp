#include "engine/site_silo.h"

#include <utility>

#include "config/difference.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "engine/assemble.h"
#include "engine/global_model.h"
#include "engine/site_words.h"
#include "federated/shared_file.h"
#include "protocol/blob.h"
#include "protocol/json_form.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

constexpr double kLookSeconds = 0.5;

/// No model of a round has more: values and controls in float64, and a header.
std::uint64_t most_model_bytes(const ParameterSet& parameters, const RoundModel& model) {
  std::uint64_t bytes = std::uint64_t{64} << 20;
  for (std::size_t place = 0; place < model.shared().size() + model.base().size(); ++place)
    bytes += 16 * static_cast<std::uint64_t>(parameters[model.at(place).index].numel());
  return bytes;
}

}  // namespace

SiteSilo::SiteSilo(Options options, const Communicator& world, const Log& log, at::Device device,
                   ChiefTurn& turn, CoordinatorDoor* door)
    : options_(std::move(options)),
      world_(world),
      log_(log),
      device_(device),
      turn_(turn),
      door_(door) {}

std::string SiteSilo::at(const std::string& name) const { return options_.run_dir + "/" + name; }

int SiteSilo::run(StopSignal& stop) {
  try {
    enter();
    make_training();
    show_what_leaves();
    if (!options_.dry_run) obey(stop);
    if (options_.dry_run && is_chief()) say_goodbye("dry run");
    return 0;
  } catch (const ChiefTurn::Stopped&) {
    log_.info("stopped by a signal; started again it goes on");
    return kExitStopped;
  } catch (const Error& error) {
    // What went wrong may quote the data: the coordinator hears of what kind it is alone.
    const bool hears = recipe_.has_value() && error.kind() != ErrorKind::kCommunication;
    if (is_chief() && hears) say_goodbye(name_of(error.kind()));
    throw;
  }
}

void SiteSilo::enter() {
  const std::string text = turn_.share("join", [&] {
    MOESAIC_CHECK(door_->silo() == options_.site.name, ErrorKind::kRecipe,
                  "the recipe is of silo {}, and the certificate of silo {}", options_.site.name,
                  door_->silo());
    const sites::Message welcome = door_->join(
        {.version = words::program_version(), .notes = {{"ranks", options_.site.parallel.ranks}}});
    const Json recipe = welcome.body.is_object() ? welcome.body.value("recipe", Json()) : Json();
    MOESAIC_CHECK(recipe.is_string(), ErrorKind::kData, "the coordinator tells no recipe");
    allowed(recipe.get<std::string>());
    require_known_recipe(recipe.get<std::string>());
    return recipe.get<std::string>();
  });
  recipe_ = recipe_of_site(allowed(text), options_.site, options_.run_dir);
  const Plan plan = Plan::make(world_.size(), static_cast<int>(recipe_->parallel.expert),
                               architecture_of(*recipe_).num_experts);
  context_.emplace(RankContext::make(world_, plan, log_, device_));
}

Recipe SiteSilo::allowed(const std::string& text) const {
  const Recipe offered = recipe_from_yaml(text, "the coordinator's recipe");
  require_across_sites(offered);
  return allowed_recipe(options_.allowance, offered);
}

// What was asked for when it joined first is what it accepts from then on. Chief only.
void SiteSilo::require_known_recipe(const std::string& text) const {
  const std::string path = at("accepted.yaml");
  if (!is_file(path, ErrorKind::kCheckpoint)) {
    if (options_.dry_run) return;  // nothing is accepted by it
    if (options_.ask && !options_.ask(recipe_from_yaml(text, "the coordinator's recipe")))
      throw Error(ErrorKind::kRecipe, "what the coordinator asks for was not accepted",
                  "a file of --allow says what may be asked for");
    return write_file_atomic(path, text);
  }
  const Recipe before = recipe_from_yaml(read_file(path, ErrorKind::kCheckpoint, 16U << 20), path);
  std::string lines;
  for (const auto& [key, was, now] : differences(before, recipe_from_yaml(text, "the recipe"))) {
    if (!may_change_on_the_way(key))
      lines += format("\n  {}: accepted with {}, now {}", key, was, now);
  }
  if (lines.empty()) return;
  throw Error(
      ErrorKind::kRecipe,
      format("the coordinator asks for other things than when this silo joined first:{}", lines),
      format("remove {} to accept them, or take another run folder", path));
}

void SiteSilo::make_training() {
  training_.reset();  // its memory first
  TrainingParts parts = assemble(silo_recipe(*recipe_, recipe_->federated->silos.at(0)),
                                 architecture_of(*recipe_), *context_);
  model_.take(*parts.parameters, kinds_of(*recipe_, *parts.parameters));
  std::vector<std::string> names;
  for (const RoundModel::Entry& entry : model_.shared()) names.push_back(entry.name);
  require_may_leave(options_.allowance, names);
  training_ = std::make_unique<SiloTraining>(*recipe_, 0, *context_, model_, std::move(parts));
  const bool tells = !hides_numbers_of_silos(*recipe_);
  if (!valid_ && tells) valid_ = open_validation(*recipe_, *context_);
  trained_ = 0;
  fetched_.clear();
  kept_ = kept_on_disk();
}

void SiteSilo::show_what_leaves() const {
  std::int64_t total = 0;
  for (const RoundModel::Entry& entry : model_.shared()) {
    const Parameter& parameter = training_->parts().parameters->operator[](entry.index);
    const std::int64_t bytes = bytes_on_the_way(*recipe_, parameter);
    if (options_.dry_run)
      log_.info("leaves    {} [{}], {} bytes", parameter.name, join(parameter.shape, ", "), bytes);
    total += bytes;
  }
  if (silos_add_noise(*recipe_) && recipe_->federated->privacy->noise_seed)
    log_.warn("NOT PRIVATE: federated.privacy.noise_seed tells everybody the noise");
  const char* beside = hides_numbers_of_silos(*recipe_)
                           ? ""
                           : ", and how many examples, targets and steps it was trained on, at "
                             "which rates, with what loss";
  log_.info("leaves    a round: the change of {} parameters in {} bytes{}", model_.shared().size(),
            total, beside);
}

void SiteSilo::obey(StopSignal& stop) {
  for (;;) {
    const std::string text = turn_.share("order", [&] {
      const auto order = door_->wait(kLookSeconds);
      return order ? json_text(sites::json_of(*order)) : std::string();
    });
    if (text.empty()) continue;
    const sites::Message order = sites::message_from(Json::parse(text));
    if (order.kind == sites::kGoodbyeKind) {
      if (is_chief()) say_goodbye("");
      return;
    }
    if (order.kind == words::kPrepare) {
      say_ready();
    } else {
      take_part(order, stop);
    }
  }
}

void SiteSilo::say_ready() {
  const std::string weights = starting_digest(*recipe_, training_->parts(), *context_);
  const Json ready = {{"time", unix_time()},  // what is said again is known by being the same
                      {"weights", weights},
                      {"tokenizer", digest_of_tokenizer(training_->parts())},
                      {"valid_targets", valid_ ? valid_->target_tokens() : 0}};
  turn_.share("ready", [&] {
    door_->send({.kind = words::kReady, .body = ready}, "");
    return std::string();
  });
}

void SiteSilo::take_part(const sites::Message& order, StopSignal& stop) {
  if (order.kind == words::kEvaluate) return evaluate(order);
  if (order.kind == sites::kOfferKind) return train(sites::RoundOffer::of(order), stop);
  if (order.kind == words::kSecureKeys || order.kind == words::kSecureShares ||
      order.kind == words::kSecureOpen)
    return take_part_in_sum(order);
  log_.warn("an order of the kind {}, which this version does not know", printable(order.kind, 40));
}

void SiteSilo::train(const sites::RoundOffer& offer, StopSignal& stop) {
  const std::int64_t most = recipe_->federated->rounds;
  MOESAIC_CHECK(offer.round >= 1 && offer.round <= most, ErrorKind::kRecipe,
                "the coordinator asks for round {}, and {} rounds were accepted", offer.round,
                most);
  const std::string file = at(kChangeFile);
  const bool has_answer =
      kept_ && kept_->round == offer.round && kept_->model == offer.model.digest;
  if (!has_answer) {
    if (trained_ >= offer.round) make_training();  // what it has learned since is forgotten
    if (trained_ == 0) training_->load(offer.round - 1);
    Stopwatch part;
    if (!fetch(offer.model)) return;
    const double fetched = part.lap();
    SiloTraining::Round round = training_->train(offer.round, controls_, stop);
    if (round.stopped) throw ChiefTurn::Stopped();
    trained_ = offer.round;
    const double learned = part.lap();
    training_->save(offer.round);
    // Training again costs time, in private the budget, and with other noise would tell more.
    const bool again_costs = recipe_->privacy.has_value() || silos_add_noise(*recipe_);
    const Sync sync = again_costs ? Sync::kNow : Sync::kLater;
    write_shared_file(file, *context_, *training_->parts().parameters, model_,
                      {std::move(round.change), std::move(round.packed)}, {}, sync);
    keep({offer.round, offer.model.digest,
          to_json(SiloAnswer{round.report, round.loss, round.bytes, round.epsilon})});
    log_.info(
        "round {}: trained, loss {:.4f}; {:.2f} s to fetch the model, {:.2f} to train, {:.2f} to "
        "write the change",
        offer.round, round.loss, fetched, learned, part.lap());
  }
  sites::Message told{
      .kind = std::string(sites::kChangeKind), .round = offer.round, .body = kept_->told};
  std::string leaves = file;
  if (is_secure(*recipe_)) {
    told.body["label"] = offer.rules.value("label", Json());
    leaves = turn_.share("mask", [&] { return mask(offer, told.body); });
    if (leaves.empty()) return;
  }
  send(format("round {}: the change", offer.round), told, leaves);
}

void SiteSilo::evaluate(const sites::Message& order) {
  sites::Message offer = order;
  offer.kind = std::string(sites::kOfferKind);
  if (!valid_ || !fetch(sites::RoundOffer::of(offer).model)) return;
  TrainingParts& parts = training_->parts();
  model_.give(*parts.parameters, /*all=*/true);
  parts.computation.weights.invalidate();
  const Validation valid = validation_of(*context_, *parts.model, parts.computation, *valid_);
  Json body = {{"loss", valid.loss}, {"targets", valid_->target_tokens()}};
  if (valid.accuracy) body["accuracy"] = *valid.accuracy;
  send(format("round {}: the validation", order.round),
       {.kind = words::kValidation, .round = order.round, .body = body}, "");
}

// An order that was overtaken while this silo was away has a model that is not there any more.
bool SiteSilo::fetch(const sites::Blob& blob) {
  if (blob.digest == fetched_) return true;
  const std::uint64_t most = most_model_bytes(*training_->parts().parameters, model_);
  MOESAIC_CHECK(blob.bytes <= most, ErrorKind::kRecipe,
                "the coordinator offers a model of {} bytes, and that of its recipe has {} at most",
                blob.bytes, most);
  const std::string path = at("exchange/model.safetensors");
  const std::string gone = turn_.share("fetch", [&] {
    try {
      door_->fetch(blob, path);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      return std::string(error.what());
    }
    return std::string();
  });
  if (!gone.empty()) {
    log_.warn("the model of the round was not to be had: {}", gone);
    return false;
  }
  agreed(world_, "model of the round", [&] {
    const SharedFile file({.path = path, .who = "the coordinator: its model", .is_model = true},
                          *training_->parts().parameters, model_);
    file.give_to(model_);
    controls_ = file.controls();
  });
  fetched_ = blob.digest;
  return true;
}

// A refusal of what it sends is told, and the silo goes on with the next order. A message with a
// file is the change of a round.
void SiteSilo::send(const std::string& what, const sites::Message& message,
                    const std::string& file) {
  const Stopwatch watch;
  const std::string refused = turn_.share("send", [&] {
    try {
      if (file.empty()) {
        door_->send(message, "");
      } else {
        const bool masked = is_secure(*recipe_);
        const sites::Blob blob = masked ? digest_of_change(file) : kept_->change;
        door_->send(sites::Change{message.round, blob, message.body}.message(), file);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      return std::string(error.what());
    }
    return std::string();
  });
  if (!refused.empty()) return log_.warn("{} was not taken: {}", what, refused);
  log_.info("{} was taken after {:.2f} s", what, watch.seconds());
}

void SiteSilo::say_goodbye(const std::string& reason) noexcept {
  try {
    door_->send({.kind = std::string(sites::kGoodbyeKind),
                 .body = {{"reason", reason}, {"time", unix_time()}}},
                "");
  } catch (const std::exception&) {  // the coordinator will notice
  }
}

sites::Blob SiteSilo::digest_of_change(const std::string& file) const {
  return sites::blob_of(file, [this] { turn_.alive(); });
}

// The digest tells later whether the file is the one of this answer.
void SiteSilo::keep(Kept kept) {
  kept_ = std::move(kept);
  turn_.share("answer", [&] {
    kept_->change = digest_of_change(at(kChangeFile));
    const Json json = {{"round", kept_->round},
                       {"model", kept_->model},
                       {"told", kept_->told},
                       {"change", sites::json_of(kept_->change)}};
    write_file_atomic(at("exchange/answer.json"), json_text(json) + "\n");
    return std::string();
  });
}

// On all ranks, from the folder that they share. The change was not forced to the disk: where a
// power failure has left another file than the answer says, the round is trained again.
std::optional<SiteSilo::Kept> SiteSilo::kept_on_disk() const {
  const std::string path = at("exchange/answer.json");
  const auto kept_in = [&](const std::string& text) {
    const Json json = parse_json(text, path, ErrorKind::kCheckpoint);
    return Kept{json.at("round").get<std::int64_t>(), json.at("model").get<std::string>(),
                json.at("told"), sites::blob_from(json.at("change"))};
  };
  const std::string text = turn_.share("answer", [&] {
    const bool there =
        is_file(path, ErrorKind::kCheckpoint) && is_file(at(kChangeFile), ErrorKind::kCheckpoint);
    std::string answer = there ? read_file(path, ErrorKind::kCheckpoint, 16U << 20) : "";
    try {
      const bool whole = there && kept_in(answer).change == digest_of_change(at(kChangeFile));
      return whole ? answer : std::string();
    } catch (const Json::exception&) {  // of another version
      return std::string();
    }
  });
  if (text.empty()) return std::nullopt;
  return kept_in(text);
}

}  // namespace moesaic
