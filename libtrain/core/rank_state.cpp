#include "core/rank_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kRecordBytes = 256;  // one pwrite, so a reader sees one record or the other
constexpr std::size_t kMostHostBytes = 64;

}  // namespace

std::string rank_state_file(const std::string& folder, int rank, const std::string& thread) {
  return format("{}/rank-{}{}{}.state", folder, rank, thread.empty() ? "" : ".", thread);
}

std::optional<RankState> read_rank_state(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  char text[kRecordBytes + 1] = {};
  const ssize_t got = ::pread(fd, text, kRecordBytes, 0);
  ::close(fd);
  RankState state;
  char host[kMostHostBytes + 1] = {};
  int where = 0;
  if (got <= 0 || std::sscanf(text, "%" SCNu64 " %" SCNu64 " %lf %" SCNd64 " %" SCNd64 " %64s %n",
                              &state.sequence, &state.counter, &state.time, &state.step, &state.pid,
                              host, &where) != 6) {
    return std::nullopt;
  }
  state.host = host;
  state.where = text + where;
  state.where.erase(state.where.find_last_not_of(" \n") + 1);
  return state;
}

std::vector<int> ranks_behind(const std::vector<std::optional<RankState>>& ranks,
                              std::uint64_t sequence) {
  std::vector<int> behind;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    if (!ranks[rank] || ranks[rank]->sequence < sequence) behind.push_back(static_cast<int>(rank));
  return behind;
}

RankStateFile::RankStateFile(const std::string& path)
    : fd_(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644)) {
  MOESAIC_CHECK(fd_ >= 0, ErrorKind::kCheckpoint, "cannot open {}: {}", path, std::strerror(errno));
}

RankStateFile::RankStateFile(RankStateFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RankStateFile& RankStateFile::operator=(RankStateFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

RankStateFile::~RankStateFile() {
  if (fd_ >= 0) ::close(fd_);
}

void RankStateFile::write(const RankState& state) const {
  if (fd_ < 0) return;
  const std::string host = state.host.empty() ? "-" : state.host.substr(0, kMostHostBytes);
  std::string record = format("{} {} {:.3f} {} {} {} {}", state.sequence, state.counter, state.time,
                              state.step, state.pid, host, state.where);
  record.resize(kRecordBytes - 1, ' ');
  record += '\n';
  [[maybe_unused]] const auto written = ::pwrite(fd_, record.data(), record.size(), 0);
}

}  // namespace moesaic
