#include "accounting/ledger.h"

#include <filesystem>
#include <system_error>

#include "core/file_lock.h"
#include "core/fs.h"

namespace moesaic::accounting {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;  // about five million steps

FileLock ledger_lock(const std::string& path) {
  FileLock lock(path, FileLock::Wait::kYes);
  if (lock.error() != 0) {
    throw Error(ErrorKind::kCheckpoint,
                format("cannot {} the ledger {}: {}", lock.is_open() ? "lock" : "open", path,
                       std::generic_category().message(lock.error())),
                "a ledger needs a folder that can be written, on a file system with locks");
  }
  return lock;
}

// Of a ledger that was opened before: none is begun anew under a run.
FileLock lock_again(const std::string& path) {
  std::error_code error;
  MOESAIC_CHECK(std::filesystem::exists(path, error), ErrorKind::kCheckpoint,
                "the ledger {} is gone", path);
  return ledger_lock(path);
}

std::string budget_text(const std::optional<Budget>& budget) {
  return budget ? format("epsilon {} at delta {}", budget->epsilon, budget->delta) : "none";
}

}  // namespace

Ledger::Ledger(Options options)
    : options_(std::move(options)), chain_(options_.path, options_.head) {
  std::error_code error;
  const bool there = std::filesystem::exists(options_.path, error);
  if (!there && !options_.head.empty()) {
    throw Error(ErrorKind::kCheckpoint, format("the ledger {} is missing", options_.path),
                "the checkpoint was saved with it; put it back");
  }
  const std::string folder = std::filesystem::path(options_.path).parent_path().string();
  if (!folder.empty()) make_folder(folder);
  const FileLock lock = ledger_lock(options_.path);
  start();
  check_terms();
  if (options_.terms.budget) check_.emplace(*options_.terms.budget, options_.accountant);
}

void Ledger::start() {
  catch_up();
  if (!chain_.terms() && !chain_.is_torn() && options_.head.empty()) {
    append(chain_.first_line(options_.terms));
    const std::string folder = std::filesystem::path(options_.path).parent_path().string();
    sync_path(folder.empty() ? "." : folder);
  }
  MOESAIC_CHECK(chain_.terms(), ErrorKind::kCheckpoint, "{}: its first line is missing or cut off",
                options_.path);
  if (!chain_.has_awaited()) {
    throw Error(
        ErrorKind::kCheckpoint,
        format("the ledger {} lacks the line that the checkpoint was saved with", options_.path),
        "it was changed, cut or replaced: put back the whole file");
  }
}

void Ledger::check_terms() const {
  const LedgerTerms& there = *chain_.terms();
  const LedgerTerms& mine = options_.terms;
  const auto refuse = [this](const char* what, const std::string& got, const std::string& wanted) {
    throw Error(
        ErrorKind::kRecipe,
        format("the ledger {} is of {} {}, this run's is {}", options_.path, what, got, wanted),
        "a ledger keeps what it was begun with; give privacy.ledger another path for "
        "another data set");
  };
  if (there.data != mine.data) refuse("the data", there.data, mine.data);
  if (there.unit != mine.unit) refuse("the unit", there.unit, mine.unit);
  if (there.budget != mine.budget)
    refuse("the budget", budget_text(there.budget), budget_text(mine.budget));
}

void Ledger::catch_up() {
  chain_.read(read_from(options_.path, chain_.offset(), ErrorKind::kCheckpoint, kMostBytes));
}

void Ledger::append(const std::string& text) {
  append_file(options_.path, text);
  catch_up();
}

void Ledger::charge(const Event& event) {
  check_event(event, "a charge", ErrorKind::kInternal);
  const FileLock lock = lock_again(options_.path);
  catch_up();
  if (chain_.is_torn()) append(chain_.healing(event));
  check_budget(event);
  append(chain_.line(event));
}

void Ledger::require_room(const Event& event) {
  const FileLock lock = lock_again(options_.path);
  catch_up();
  check_budget(event);
}

void Ledger::check_budget(const Event& event) {
  if (!check_ || check_->allows(chain_.events(), event)) return;
  const Budget& budget = *options_.terms.budget;
  Events after = chain_.events();
  add_event(after, event);
  throw Error(ErrorKind::kBudget,
              format("the privacy budget of {} is spent: {} {} cost epsilon {:.6g}, the next one "
                     "would make it {:.6g} of {} at delta {}",
                     options_.path, total_steps(chain_.events()),
                     options_.terms.unit == "silo" ? "rounds" : "steps", epsilon(budget.delta),
                     epsilon_of(after, budget.delta, options_.accountant).value, budget.epsilon,
                     budget.delta),
              "these data may not be used further under this budget");
}

double Ledger::epsilon(double delta) const {
  return epsilon_of(chain_.events(), delta, options_.accountant).value;
}

LedgerReport read_ledger(const std::string& path) {
  std::error_code error;
  FileLock lock;  // so that no line is seen half written; without it where it is read-only
  if (std::filesystem::is_regular_file(path, error)) lock = FileLock(path, FileLock::Wait::kYes);
  const std::string text = read_file(path, ErrorKind::kData, kMostBytes);
  LedgerChain chain(path);
  std::string problem;
  try {
    chain.read(text);
    if (chain.is_torn()) problem = "the last line is cut off (the next charge counts it)";
    if (!chain.terms()) problem = "its first line is missing or cut off";
  } catch (const Error& broken) {
    problem = broken.what();
  }
  return {chain.terms(), chain.events(), problem};
}

}  // namespace moesaic::accounting
