#include "rank_job.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "core/clock.h"
#include "core/fs.h"
#include "core/host_name.h"
#include "core/json.h"
#include "core/standard_streams.h"
#include "engine/run_folder.h"
#include "store/agreement.h"
#include "threads.h"

namespace moesaic::worker {
namespace {

// What the launcher's final block is made of. False when it was not written.
bool write_error(const std::string& run_dir, int rank, const Error& error,
                 const std::string& message) noexcept {
  if (error.kind() == ErrorKind::kUsage) return false;  // the folder may belong to another job
  try {
    const auto* time_out = dynamic_cast<const TimeOut*>(&error);
    const std::vector<int> behind = time_out != nullptr ? time_out->behind() : std::vector<int>{};
    const Json record = {{"rank", rank},        {"host", host_name()},
                         {"time", unix_time()}, {"kind", name_of(error.kind())},
                         {"message", message},  {"hint", error.hint()},
                         {"behind", behind}};
    write_file_atomic(error_file(run_dir, rank),
                      record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return true;
  } catch (const std::exception&) {
    return false;  // the folder is what failed
  }
}

// The allocator of LibTorch throws an error of its own.
bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         std::strstr(error.what(), "can't allocate memory") != nullptr;
}

}  // namespace

RankPlace RankJob::place(const PlaceOptions& options) const {
  const std::string logs = options.run_dir.empty() ? "" : logs_folder(options.run_dir);
  const Communicator host = session_.world(options.comm, {.folder = logs});
  const auto [device, world] = open_device(options.device, host, session_, options.comm);
  const int rank = session_.rank();
  const Log log({.rank = rank,
                 .file = logs.empty() ? "" : log_file(options.run_dir, rank),
                 .console = rank == 0});
  const int threads = use_threads(options.threads, session_.local_size());
  if (threads > cores_of_rank()) {
    log.warn(
        "{} threads take turns on the {} cores that the rank may use: fewer threads are faster, "
        "or ranks that are not bound (mpirun --bind-to none)",
        threads, cores_of_rank());
  }
  return {world, device, log, threads};
}

int RankJob::run(const std::function<int()>& work) const {
  try {
    return work();
  } catch (const NoReader&) {
    throw;  // no failure, and nothing to tell: this process ends, and with it the job
  } catch (const Error& error) {
    end(error);
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) {
      end(Error(ErrorKind::kDevice, "out of memory", options_.memory_hint));
    }
    end(Error(ErrorKind::kInternal, error.what()));
  }
}

void RankJob::tell(const Error& error) const {
  const auto* shared = dynamic_cast<const SharedError*>(&error);
  const std::string message = shared != nullptr ? shared->plain() : error.what();
  const int rank = session_.rank();
  const bool launcher_tells = !run_dir_.empty() && write_error(run_dir_, rank, error, message) &&
                              std::getenv("MOESAIC_LAUNCHER") != nullptr;
  if (launcher_tells) return;
  const std::string who = session_.size() > 1 ? format("rank {}: ", rank) : "";
  std::string text = format("{}error: {}\n", who, message);
  if (!error.hint().empty()) text += format("{}hint: {}\n", who, error.hint());
  std::fputs(text.c_str(), stderr);
}

void RankJob::end(const Error& error) const {
  const auto* shared = dynamic_cast<const SharedError*>(&error);
  if (shared != nullptr && shared->rank() != session_.rank()) {
    // That rank tells it and ends the job, this process too. Should it die instead, go on alone.
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
  tell(error);
  session_.abort(error.exit_code());
}

}  // namespace moesaic::worker
