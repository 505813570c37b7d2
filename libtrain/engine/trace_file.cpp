#include "engine/trace_file.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <optional>
#include <vector>

#include "comm/clock_offset.h"
#include "core/fs.h"
#include "core/host_name.h"
#include "observe/trace_json.h"

namespace moesaic {
namespace {

std::int64_t reduced(const Communicator& world, std::int64_t value, ReduceOp op,
                     const std::string& label) {
  at::Tensor tensor = at::empty({1}, at::kLong);
  auto* data = tensor.mutable_data_ptr<std::int64_t>();
  *data = value;
  world.all_reduce(tensor, op, label);
  return *data;
}

at::Tensor bytes_of(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  if (!text.empty()) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  return bytes;
}

/// Collective over world: calls visit(text) with each rank's text in turn, on the chief.
template <class Visit>
void for_each_rank(const Communicator& world, const std::string& mine, const Visit& visit) {
  const auto ranks = static_cast<std::size_t>(world.size());
  const auto me = static_cast<std::size_t>(world.rank());
  const at::Tensor bytes = bytes_of(mine);
  at::Tensor length = at::empty({1}, at::kLong);
  *length.mutable_data_ptr<std::int64_t>() = bytes.size(0);
  const at::Tensor lengths = world.all_gather(length, "trace.lengths");
  const auto* sizes = lengths.const_data_ptr<std::int64_t>();
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    std::vector<std::int64_t> send(ranks, 0), receive(ranks, 0);
    if (me == rank) send[0] = sizes[rank];
    if (me == 0) receive[rank] = sizes[rank];
    const at::Tensor text =
        world.all_to_all(me == rank ? bytes : bytes.narrow(0, 0, 0), send, receive, "trace");
    if (me != 0) continue;
    visit(std::string_view(static_cast<const char*>(text.const_data_ptr()),
                           static_cast<std::size_t>(text.size(0))));
  }
}

/// A file whose errors are kept for later: collectives go on meanwhile.
class LenientFile {
 public:
  explicit LenientFile(const std::string& path) {
    attempt([&] { file_.emplace(path); });
  }
  void write(std::string_view text) {
    attempt([&] { file_->write(text); });
  }
  void finish() {
    attempt([&] { file_->finish(); });
  }
  const std::string& failure() const { return failure_; }

 private:
  template <class Action>
  void attempt(const Action& action) {
    if (!failure_.empty()) return;
    try {
      action();
    } catch (const Error& error) {
      failure_ = error.what();
      file_.reset();
    }
  }

  std::optional<NewFile> file_;
  std::string failure_;
};

}  // namespace

std::string write_trace(const RankContext& context, const Tracer& tracer, std::int64_t begin_ns,
                        const std::string& path, Json about) {
  const Communicator& world = context.world;
  const ClockOffset offset = clock_offset(world);
  const std::int64_t origin = reduced(world, begin_ns - offset.ns, ReduceOp::kMin, "trace.origin");
  about["ranks"] = world.size();
  about["clock_error_us"] =
      static_cast<double>(reduced(world, offset.error_ns, ReduceOp::kMax, "trace.error")) / 1e3;
  about["dropped_events"] =
      reduced(world, static_cast<std::int64_t>(tracer.dropped()), ReduceOp::kSum, "trace.dropped");
  const std::string mine = to_trace_events(
      tracer, {.rank = context.rank(), .host = host_name(), .origin_ns = origin + offset.ns});
  std::optional<LenientFile> file;
  if (context.is_chief()) file.emplace(path);
  bool first = true;
  for_each_rank(world, mine, [&](std::string_view events) {
    file->write(first ? trace_head() : ",\n");
    file->write(events);
    first = false;
  });
  if (!file) return "";
  file->write(trace_tail(about));
  file->finish();
  return file->failure();
}

}  // namespace moesaic
