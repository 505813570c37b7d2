// SiteSilo: one silo of a federation across sites: the job of its ranks, whose chief speaks to the
// coordinator. It trains what SiloTraining trains within one job, so the same recipe gives the same
// bits. Nothing of its data leaves it but the change of a round, and numbers of the round.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "aggregate/secure_silo.h"
#include "config/site_allowance.h"
#include "config/site_recipe.h"
#include "engine/chief_turn.h"
#include "engine/federated_state.h"
#include "engine/silo_training.h"
#include "engine/site_doors.h"

namespace moesaic {

class SiteSilo {
 public:
  struct Options {
    SiteRecipe site;
    SiteAllowance allowance;
    std::string run_dir;
    bool dry_run = false;  // joins, shows what would leave, and says goodbye
    /// Asks a person whether this recipe may be trained; empty: nobody is there to ask. The
    /// chief's.
    std::function<bool(const Recipe&)> ask = {};
  };

  /// `world`, of all ranks of the silo, `log` and `device` are those of any job. `door` is the
  /// chief's, others have nullptr; `turn`, which the door tells that it is alive, and it must
  /// outlive this. Local.
  SiteSilo(Options options, const Communicator& world, const Log& log, at::Device device,
           ChiefTurn& turn, CoordinatorDoor* door);
  SiteSilo(const SiteSilo&) = delete;

  /// Joins, and does what the coordinator orders until it says goodbye. Returns the exit code: 0 or
  /// kExitStopped. Error(kRecipe) for what this silo does not allow, before anything is trained;
  /// Error(kCommunication) when the coordinator stays away. Collective over world, as all below.
  int run(StopSignal& stop);

  /// The model as it was last fetched, for tests.
  const RoundModel& model() const { return model_; }

 private:
  static constexpr const char* kChangeFile = "exchange/change.safetensors";
  /// The answer to a round that is on its way, kept so that it is not trained again.
  struct Kept {
    std::int64_t round = 0;
    std::string model;  // digest of what it began with
    Json told;
    sites::Blob change = {};  // its file; the chief's
  };

  /// Until the coordinator says goodbye.
  void obey(StopSignal& stop);
  /// Joins, and makes the recipe of what is asked for and allowed.
  void enter();
  Recipe allowed(const std::string& text) const;
  void require_known_recipe(const std::string& text) const;
  void make_training();
  /// What leaves in each round, to the log: names, shapes and bytes.
  void show_what_leaves() const;
  void say_ready();
  void take_part(const sites::Message& order, StopSignal& stop);
  void train(const sites::RoundOffer& offer, StopSignal& stop);
  void evaluate(const sites::Message& order);
  /// Keys, shares, and at the end what the masks are taken away with.
  void take_part_in_sum(const sites::Message& order);
  Json answer_in_sum(const sites::Message& order);
  /// The change, and the counts in what is `told` of it, as words that say nothing without the
  /// others' -> its file. The chief's.
  std::string mask(const sites::RoundOffer& offer, Json& told);
  /// False when the coordinator does not have it any more.
  bool fetch(const sites::Blob& blob);
  void send(const std::string& what, const sites::Message& message, const std::string& file);
  void say_goodbye(const std::string& reason) noexcept;
  sites::Blob digest_of_change(const std::string& file) const;
  void keep(Kept kept);
  std::optional<Kept> kept_on_disk() const;
  std::string at(const std::string& name) const;
  bool is_chief() const { return door_ != nullptr; }

  Options options_;
  Communicator world_;
  Log log_;
  at::Device device_;
  ChiefTurn& turn_;
  CoordinatorDoor* door_;
  std::optional<Recipe> recipe_;
  std::optional<RankContext> context_;
  RoundModel model_;
  std::unique_ptr<SiloTraining> training_;
  std::unique_ptr<EvalData> valid_;
  std::int64_t trained_ = 0;  // the last round of training_, 0 = none yet
  std::optional<Kept> kept_;
  std::string fetched_;  // digest of the model
  aggregate::ServerState controls_;
  std::optional<aggregate::SecureSilo> secure_;  // of the sum under way; the chief's
  std::map<std::string, std::string> sealed_;    // for it, by sender
  std::string masked_;                           // what its masks were used for
};

}  // namespace moesaic
