#include "comm/mpi/mpi_backend.h"

#include <c10/util/accumulate.h>

#include <algorithm>
#include <numeric>

#include "comm/mpi/mpi_exchange.h"
#include "comm/mpi/mpi_reduce.h"
#include "comm/single.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// Work of a collective that MPI was told to start.
class MpiWork : public Work::State {
 public:
  MpiWork(std::shared_ptr<MpiRuntime> runtime, std::shared_ptr<MpiOperation> operation)
      : runtime_(std::move(runtime)), operation_(std::move(operation)) {}
  void wait() override { runtime_->wait(*operation_); }

 private:
  std::shared_ptr<MpiRuntime> runtime_;
  std::shared_ptr<MpiOperation> operation_;
};

std::string dtype_name(const at::Tensor& tensor) { return c10::toString(tensor.scalar_type()); }

/// Values of one row.
std::int64_t row_width(const at::Tensor& rows) {
  return c10::multiply_integers(rows.sizes().slice(1));
}

/// The rows of each rank, which lie one after the other in `tensor`.
std::vector<Piece> pieces_of(const at::Tensor& tensor, const std::vector<std::int64_t>& rows,
                             std::int64_t width) {
  std::vector<Piece> pieces;
  std::int64_t begin = 0;
  for (const std::int64_t count : rows) {
    pieces.push_back(piece_of(tensor, begin * width, count * width));
    begin += count;
  }
  return pieces;
}

}  // namespace

std::shared_ptr<CommBackend> make_mpi_backend(MpiComm comm, std::string name,
                                              std::shared_ptr<MpiRuntime> runtime) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm.get(), &size), "MPI_Comm_size");
  if (size > 1) {
    return std::make_shared<MpiBackend>(std::move(comm), std::move(name), std::move(runtime));
  }
  Watchdog& watchdog = runtime->watchdog();
  if (watchdog.options().size > 1) return std::make_shared<SingleBackend>(std::move(name));
  return std::make_shared<SingleBackend>(std::move(name),
                                         std::shared_ptr<Watchdog>(std::move(runtime), &watchdog));
}

MpiBackend::MpiBackend(MpiComm comm, std::string name, std::shared_ptr<MpiRuntime> runtime)
    : comm_(std::make_shared<MpiComm>(std::move(comm))),
      name_(std::move(name)),
      runtime_(std::move(runtime)) {
  check_mpi(MPI_Comm_rank(comm_->get(), &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm_->get(), &size_), "MPI_Comm_size");
  if (runtime_->options().check_collectives) {
    checker_ = std::make_unique<CollectiveChecker>(comm_->get(), name_, runtime_);
  }
}

MpiBackend::Operation MpiBackend::begin(const CollectiveCall& call) {
  runtime_->watchdog().enter(name_, call.label);
  if (checker_) checker_->compare(call);
  return std::make_shared<MpiOperation>(MpiOperation{.comm = comm_,
                                                     .group = name_,
                                                     .label = call.label,
                                                     .rank = rank_,
                                                     .size = size_,
                                                     .span = AsyncSpan(call.label)});
}

WorkState MpiBackend::started(const Operation& operation) {
  runtime_->add(operation);
  return std::make_unique<MpiWork>(runtime_, operation);
}

std::vector<std::int64_t> MpiBackend::to_each(std::int64_t rows) const {
  return std::vector<std::int64_t>(static_cast<std::size_t>(size_), rows);
}

/// A pair of tags. Collectives start in the same order everywhere but run their second stage when
/// they get to it, so each needs tags of its own while it is under way.
int MpiBackend::next_tag() {
  constexpr int kTags = 32'766;  // what every MPI has
  tag_ = (tag_ + 2) % kTags;
  return tag_;
}

WorkState MpiBackend::all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) {
  const char* const op_name = op == ReduceOp::kSum ? "sum" : op == ReduceOp::kMax ? "max" : "min";
  const auto operation = begin({.kind = "all_reduce",
                                .label = label,
                                .detail = format("{} of {}", op_name, dtype_name(tensor)),
                                .count = tensor.numel()});
  start_all_reduce(*operation, tensor, op, next_tag());
  return started(operation);
}

WorkState MpiBackend::all_gather(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                                 at::Tensor all, const std::string& label) {
  const std::int64_t width = row_width(all);
  const auto operation = begin({.kind = "all_gather",
                                .label = label,
                                .detail = dtype_name(mine),
                                .count = width,
                                .send_rows = to_each(rows[static_cast<std::size_t>(rank_)]),
                                .receive_rows = rows});
  operation->tensors = {mine, all};
  start_exchange(*operation, std::vector<Piece>(rows.size(), piece_of(mine)),
                 pieces_of(all, rows, width), next_tag());
  return started(operation);
}

WorkState MpiBackend::reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                                     at::Tensor mine, const std::string& label) {
  const std::int64_t width = row_width(all);
  const auto operation = begin({.kind = "reduce_scatter",
                                .label = label,
                                .detail = format("sum of {}", dtype_name(all)),
                                .count = width,
                                .send_rows = rows,
                                .receive_rows = to_each(rows[static_cast<std::size_t>(rank_)])});
  const std::int64_t first = std::accumulate(rows.begin(), rows.begin() + rank_, std::int64_t{0});
  const at::Tensor own = all.narrow(0, first, rows[static_cast<std::size_t>(rank_)]);
  start_reduce_scatter(*operation, pieces_of(all, rows, width), own, mine, next_tag());
  return started(operation);
}

WorkState MpiBackend::broadcast(at::Tensor tensor, int root, const std::string& label) {
  const auto operation = begin({.kind = "broadcast",
                                .label = label,
                                .detail = format("{} from rank {}", dtype_name(tensor), root),
                                .count = tensor.numel()});
  operation->tensors = {tensor};
  const Piece piece = piece_of(tensor);
  constexpr std::int64_t kMessageBytes = std::int64_t{1} << 30;  // MPI 3 counts with int
  for (std::int64_t begin = 0; begin < piece.bytes; begin += kMessageBytes) {
    const auto bytes = static_cast<int>(std::min(kMessageBytes, piece.bytes - begin));
    check_mpi(MPI_Ibcast(piece.data + begin, bytes, MPI_BYTE, root, comm_->get(),
                         &operation->requests.emplace_back(MPI_REQUEST_NULL)),
              operation->where());
  }
  return started(operation);
}

WorkState MpiBackend::all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                                 at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                                 const std::string& label) {
  const std::int64_t width = row_width(rows);
  const auto operation = begin({.kind = "all_to_all",
                                .label = label,
                                .detail = dtype_name(rows),
                                .count = width,
                                .send_rows = send_rows,
                                .receive_rows = receive_rows});
  operation->tensors = {rows, received};
  start_exchange(*operation, pieces_of(rows, send_rows, width),
                 pieces_of(received, receive_rows, width), next_tag());
  return started(operation);
}

void MpiBackend::barrier(const std::string& label) {
  const auto operation = begin({.kind = "barrier", .label = label});
  check_mpi(MPI_Ibarrier(comm_->get(), &operation->requests.emplace_back(MPI_REQUEST_NULL)),
            operation->where());
  started(operation)->wait();
}

std::shared_ptr<CommBackend> MpiBackend::split(int colour, const std::string& name) {
  barrier("split into " + name);  // MPI_Comm_split itself has no time-out
  return make_mpi_backend(MpiComm::split(comm_->get(), colour, rank_), name, runtime_);
}

bool MpiBackend::serves_threads() const {
  int level = MPI_THREAD_SINGLE;
  check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
  return level == MPI_THREAD_MULTIPLE;
}

std::shared_ptr<CommBackend> MpiBackend::for_thread(const std::string& thread) {
  MOESAIC_ASSERT(serves_threads());
  barrier("duplicate for thread " + thread);  // MPI_Comm_dup itself has no time-out
  Watchdog::Options watchdog = runtime_->watchdog().options();
  watchdog.thread = thread;
  return make_mpi_backend(MpiComm::duplicate(comm_->get()), format("{} ({})", name_, thread),
                          std::make_shared<MpiRuntime>(runtime_->options(), watchdog));
}

}  // namespace moesaic
