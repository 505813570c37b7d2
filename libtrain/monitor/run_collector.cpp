#include "monitor/run_collector.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/rank_state.h"
#include "monitor/newest_checkpoint.h"
#include "monitor/rank_process.h"
#include "monitor/row_families.h"

namespace moesaic {
namespace {

constexpr int kMostRanks = 4096;  // that have series of their own
constexpr std::uint64_t kMostRestartBytes = 64U << 20;

void add_progress(const RankState& state, const MetricFamilies::Labels& rank,
                  MetricFamilies& families) {
  families.gauge("moesaic_rank_step", "Step that the rank works at.",
                 static_cast<double>(state.step), rank);
  families.counter("moesaic_rank_collectives_total",
                   "Collectives that the rank has entered since it began.",
                   static_cast<double>(state.sequence), rank);
  families.gauge("moesaic_rank_progress_timestamp_seconds",
                 "When the rank last gave a sign of life, since 1970.", state.time, rank);
}

void add_process(const std::optional<RankProcess>& process, const MetricFamilies::Labels& rank,
                 MetricFamilies& families) {
  families.gauge("moesaic_rank_runs",
                 "1: the rank's process runs or waits; 0: it is stopped or dead.",
                 process && process->runs() ? 1 : 0, rank);
  if (!process) return;
  families.gauge("moesaic_rank_resident_memory_bytes", "Memory of the rank.",
                 process->resident_bytes, rank);
  families.gauge("moesaic_rank_threads", "Threads of the rank.", process->threads, rank);
  families.counter("moesaic_rank_cpu_seconds_total", "Processor time of the rank.", process->cpu_s,
                   rank);
  if (process->read_bytes) {
    families.counter("moesaic_rank_read_bytes_total", "Read from disks by the rank.",
                     *process->read_bytes, rank);
  }
  if (process->written_bytes) {
    families.counter("moesaic_rank_written_bytes_total", "Written to disks by the rank.",
                     *process->written_bytes, rank);
  }
}

}  // namespace

RunCollector::RunCollector(RunFacts facts)
    : facts_(std::move(facts)),
      started_(unix_time()),
      rows_file_(facts_.run_dir + "/metrics.jsonl"),
      restarts_file_(facts_.run_dir + "/restarts.jsonl"),
      reader_(rows_file_.path()) {}

std::vector<prometheus::MetricFamily> RunCollector::Collect() const {
  const std::scoped_lock lock(mutex_);
  read_rows();
  MetricFamilies families(facts_.job);
  add_job(families);
  add_rows(rows_, families);
  families.gauge("moesaic_unreadable_rows", "Lines of metrics.jsonl that are no row.",
                 static_cast<double>(reader_.found().damaged));
  add_ranks(families);
  add_folder(families);
  return families.all();
}

void RunCollector::finished(int exit_code) {
  const std::scoped_lock lock(mutex_);
  exit_code_ = exit_code;
}

// Rows that a run finds in its folder are its own where it goes on, and do not count; else they
// are those of a run that it takes the place of.
void RunCollector::read_rows() const {
  if (!facts_.resumed && !rows_file_.has_changed()) return;
  bool any = false;
  try {
    reader_.read([this] { rows_.start_again(); },
                 [this, &any](const MetricsRow& row) {
                   rows_.add(row);
                   any = true;
                 });
  } catch (const Error&) {  // it is not there yet, or cannot be read now
  }
  if (!has_read_ && !rows_file_.has_changed()) {
    rows_.forget_counts();
  } else if (any) {
    last_row_time_ = unix_time();
  }
  has_read_ = true;
}

// One line a restart.
std::int64_t RunCollector::restarts() const {
  if (!facts_.resumed && !restarts_file_.has_changed()) return 0;
  try {
    const std::string lines = read_file(restarts_file_.path(), ErrorKind::kData, kMostRestartBytes);
    return std::count(lines.begin(), lines.end(), '\n');
  } catch (const Error&) {  // there were none
    return 0;
  }
}

void RunCollector::add_job(MetricFamilies& families) const {
  MetricFamilies::Labels about{
      {"run_dir", facts_.run_dir}, {"host", facts_.host}, {"version", facts_.version}};
  about.insert(about.end(), facts_.about.begin(), facts_.about.end());
  families.gauge("moesaic_run_info", "1; the labels say what the run is.", 1, about);
  families.gauge("moesaic_running", "1 until the job has ended.", exit_code_ ? 0 : 1);
  families.gauge("moesaic_start_time_seconds", "When the job was started, since 1970.", started_);
  families.gauge("moesaic_ranks", "Ranks of the job.", facts_.ranks);
  families.counter("moesaic_restarts_total", "Times that the job of this run was started again.",
                   static_cast<double>(restarts()));
  for (const RunFacts::Number& number : facts_.numbers)
    families.gauge(number.name, number.help, number.value);
  if (exit_code_)
    families.gauge("moesaic_exit_code", "Of the job; 0 = it ended well.", *exit_code_);
  if (last_row_time_ > 0) {
    families.gauge("moesaic_last_row_timestamp_seconds", "When a row was last seen, since 1970.",
                   last_row_time_);
  }
}

void RunCollector::add_ranks(MetricFamilies& families) const {
  const std::string logs = facts_.run_dir + "/logs";
  for (int rank = 0; rank < std::min(facts_.ranks, kMostRanks); ++rank) {
    const auto state = read_rank_state(rank_state_file(logs, rank));
    if (!state || state->time < started_) continue;  // of an earlier job
    add_progress(*state, {{"instance", format("rank-{}", rank)}}, families);
    if (state->host == facts_.host && !exit_code_)
      add_process(rank_process(state->pid), {{"instance", format("rank-{}", rank)}}, families);
  }
}

void RunCollector::add_folder(MetricFamilies& families) const {
  try {
    families.gauge("moesaic_disk_free_bytes", "Free where the run folder is.",
                   static_cast<double>(free_bytes(facts_.run_dir)));
  } catch (const Error&) {  // it is not there yet
    return;
  }
  const auto checkpoint = newest_checkpoint(facts_.run_dir);
  if (!checkpoint) return;
  families.gauge("moesaic_checkpoint_step", "Step of the newest checkpoint.", checkpoint->step);
  families.gauge("moesaic_checkpoint_timestamp_seconds",
                 "When the newest checkpoint was published, since 1970.", checkpoint->time);
  families.gauge("moesaic_checkpoint_bytes", "Size of the newest checkpoint.", checkpoint->bytes);
}

}  // namespace moesaic
