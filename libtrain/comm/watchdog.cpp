#include "comm/watchdog.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kRecordBytes = 256;  // one pwrite, so a reader sees one record or the other
constexpr double kAliveSeconds = 0.5;

}  // namespace

Watchdog::Watchdog(const Options& options) : options_(options) {
  mine_.where = "(none yet)";
  if (options_.folder.empty()) return;
  fd_ = ::open(path(options_.rank).c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  MOESAIC_CHECK(fd_ >= 0, ErrorKind::kCheckpoint, "cannot open {}: {}", path(options_.rank),
                std::strerror(errno));
  write();
}

Watchdog::~Watchdog() {
  if (fd_ >= 0) ::close(fd_);
}

void Watchdog::enter(const std::string& group, const std::string& label) {
  ++mine_.sequence;
  ++mine_.counter;
  mine_.where = format("'{}' of {}", label, group);
  write();
}

void Watchdog::alive() {
  ++mine_.counter;
  if (since_write_.seconds() > kAliveSeconds) write();
}

bool Watchdog::others_moved() {
  std::vector<std::uint64_t> now(static_cast<std::size_t>(options_.size));
  bool moved = false;
  for (int rank = 0; rank < options_.size; ++rank) {
    const auto i = static_cast<std::size_t>(rank);
    const auto record = rank == options_.rank ? std::nullopt : read(rank);
    if (record) now[i] = record->counter;
    if (i < seen_.size() && now[i] > seen_[i]) moved = true;
  }
  seen_ = std::move(now);
  return moved;
}

Watchdog::Report Watchdog::report() const {
  if (options_.folder.empty()) {
    return {"no state files are kept, so the rank behind is not known", {}};
  }
  std::string text;
  std::vector<int> behind;
  const double now = unix_time();
  for (int rank = 0; rank < options_.size; ++rank) {
    const auto record = rank == options_.rank ? std::optional(mine_) : read(rank);
    if (!record) {
      text += format("\n  rank {}: no readable state in {}", rank, path(rank));
      behind.push_back(rank);
      continue;
    }
    text += format("\n  rank {}: collective {}, {}, last sign of life {:.1f} s ago", rank,
                   record->sequence, record->where, now - record->time);
    if (record->sequence < mine_.sequence) behind.push_back(rank);
  }
  const std::string head = behind.empty()
                               ? "no rank is behind: all entered a collective but not the same one"
                               : format("behind: rank {}", join(behind, ", "));
  return {head + text, behind};
}

void Watchdog::write() {
  since_write_.lap();
  mine_.time = unix_time();
  if (fd_ < 0) return;
  std::string record =
      format("{} {} {:.3f} {}", mine_.sequence, mine_.counter, mine_.time, mine_.where);
  record.resize(kRecordBytes - 1, ' ');
  record += '\n';
  // A full disk must not stop training: the file only serves error messages.
  [[maybe_unused]] const auto written = ::pwrite(fd_, record.data(), record.size(), 0);
}

std::string Watchdog::path(int rank) const {
  const std::string thread = options_.thread.empty() ? "" : "." + options_.thread;
  return format("{}/rank-{}{}.state", options_.folder, rank, thread);
}

std::optional<Watchdog::Record> Watchdog::read(int rank) const {
  if (options_.folder.empty()) return std::nullopt;
  const int fd = ::open(path(rank).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  char text[kRecordBytes + 1] = {};
  const ssize_t got = ::pread(fd, text, kRecordBytes, 0);
  ::close(fd);
  Record record;
  int where = 0;
  if (got <= 0 || std::sscanf(text, "%" SCNu64 " %" SCNu64 " %lf %n", &record.sequence,
                              &record.counter, &record.time, &where) != 3) {
    return std::nullopt;
  }
  record.where = text + where;
  record.where.erase(record.where.find_last_not_of(" \n") + 1);
  return record;
}

}  // namespace moesaic
