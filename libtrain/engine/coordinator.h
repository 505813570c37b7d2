// Coordinator: rounds over silos on other sites. It stands where FederatedRun stands within one
// job: silos train from the round's model, their changes come by a door, and the aggregator makes
// the next model. A round closes when all silos that are here have answered, at the latest at its
// deadline. Killed at any moment, it goes on from checkpoint and journal to the same model.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "engine/global_model.h"
#include "engine/round_times.h"
#include "engine/secure_values.h"
#include "engine/site_doors.h"
#include "engine/stop_signal.h"
#include "federated/round_journal.h"
#include "federated/round_poll.h"
#include "observe/metrics.h"

namespace moesaic {

class Coordinator {
 public:
  /// The recipe's run folder says how far it is. `context` of one rank, `door` and `model`, of the
  /// same recipe, must outlive it.
  Coordinator(const Recipe& recipe, const RankContext& context, GlobalModel& model,
              RoundJournal& journal, SilosDoor& door);
  Coordinator(const Coordinator&) = delete;

  void add_sink(std::unique_ptr<MetricsSink> sink) { sinks_.push_back(std::move(sink)); }
  /// Rounds whose row is written, and the last one.
  std::int64_t step() const { return std::max<std::int64_t>(0, journal_.last("row")); }
  std::int64_t max_steps() const { return recipe_.federated->rounds; }

  /// All rounds that are left. Returns the exit code: 0 or kExitStopped. Error(kCommunication) when
  /// a round ends without its quorum, Error(kBudget) where that is because budgets are spent, or
  /// where its own does not allow the next round.
  int run(StopSignal& stop);

 private:
  struct Validated {
    double loss = 0, targets = 0;
    std::optional<double> accuracy;
  };
  using Done = std::function<bool()>;
  /// What a poll asks each silo for.
  struct Question {
    std::string kind;
    std::function<sites::Message(const std::string& silo)> order;
  };

  /// Each true, or false when a signal came.
  bool serve(const Done& done, StopSignal& stop);
  bool gather(StopSignal& stop);
  bool next_round_in_budget(StopSignal& stop);
  bool next_round(StopSignal& stop);
  bool finish_row(StopSignal& stop);
  bool say_goodbye(StopSignal& stop);
  bool send_home(StopSignal& stop);
  bool ask(SiloPoll::Options poll, Question question, StopSignal& stop);

  void take(const SiloRequest& request);
  sites::Message reply_to(const SiloRequest& request);
  sites::Message welcome(const SiloRequest& request);
  void admit(const SiloRequest& request);
  void take_change(const SiloRequest& request);
  void take_validation(const SiloRequest& request);
  void part_from(const SiloRequest& request);
  void order(const std::string& silo);

  /// Keys and shares of a secure sum. `asked` becomes the silos that have given both.
  bool agree_on_keys(std::vector<std::string>& asked, std::size_t needed, double ends_at,
                     StopSignal& stop);
  bool open_shares(StopSignal& stop);
  void take_secure(const SiloRequest& request);
  void keep_for_sum(const std::string& silo, const sites::Message& message);
  Json secure_rules(const std::string& silo) const;
  void next_model(const std::vector<ArrivedChange>& changes);
  void look_at_silos();

  bool counts_already(const sites::Change& change, const std::string& silo) const;
  /// What the journal has of a round, by silo.
  std::map<std::string, Json> answers_of(std::int64_t round) const;
  /// Silos whose change of a round could not be taken, and who gave no other one since.
  std::set<std::string> refused_in(std::int64_t round) const;
  /// Answers that a round needs.
  std::size_t needed_in(std::int64_t round) const;
  std::string file_of(std::int64_t round, const std::string& silo) const;
  void count_answers_on_disk();
  void close_in_journal();
  void close_round();
  void note_times();
  std::optional<Validation> validation() const;
  [[noreturn]] void fail_round() const;
  std::vector<std::string> names_in_round(std::int64_t round) const;
  std::vector<std::string> expected() const;
  void publish_model();
  double now() const { return clock_.seconds(); }

  const Recipe recipe_;
  const RankContext& context_;
  GlobalModel& model_;
  RoundJournal& journal_;
  SilosDoor& door_;
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  Stopwatch clock_;
  Stopwatch round_clock_;  // of the round under way, and its parts
  RoundTimes times_;
  SiloMembers members_;
  bool met_ = false;  // some silo has joined this process
  std::map<std::string, bool> validates_;
  std::set<std::string> budget_spent_;
  std::set<std::string> late_;  // did not answer in their last round, and nothing since
  std::optional<SiloPoll> poll_;
  Question question_;  // of the poll
  std::optional<SecureTry> secure_;
  std::vector<std::string> summed_;  // silos that masked for each other in it
  std::map<std::string, Validated> validated_;
  sites::Blob blob_;  // of the model
};

}  // namespace moesaic
