#include "comm/mpi/mpi_backend.h"

#include <algorithm>
#include <limits>

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

/// MPI counts rows with int.
std::vector<int> to_int(const std::vector<std::int64_t>& rows, const MpiOperation& operation) {
  std::vector<int> result;
  std::int64_t total = 0;
  for (const std::int64_t count : rows) {
    result.push_back(static_cast<int>(count));
    total += count;
  }
  MOESAIC_CHECK(total <= std::numeric_limits<int>::max(), ErrorKind::kInternal,
                "{}: {} rows, at most {} fit into one call", operation.where(), total,
                std::numeric_limits<int>::max());
  return result;
}

std::vector<int> offsets_of(const std::vector<int>& counts) {
  std::vector<int> offsets(counts.size());
  for (std::size_t i = 1; i < counts.size(); ++i) offsets[i] = offsets[i - 1] + counts[i - 1];
  return offsets;
}

std::byte* data_of(const at::Tensor& tensor) {
  return static_cast<std::byte*>(tensor.mutable_data_ptr());
}

}  // namespace

std::shared_ptr<CommBackend> make_mpi_backend(MpiComm comm, std::string name,
                                              std::shared_ptr<MpiRuntime> runtime) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm.get(), &size), "MPI_Comm_size");
  if (size > 1) {
    return std::make_shared<MpiBackend>(std::move(comm), std::move(name), std::move(runtime));
  }
  const auto owner = std::make_shared<MpiComm>(std::move(comm));
  return std::make_shared<SingleBackend>(std::move(name),
                                         std::shared_ptr<const void>(owner, owner->address()));
}

MpiBackend::MpiBackend(MpiComm comm, std::string name, std::shared_ptr<MpiRuntime> runtime)
    : comm_(std::move(comm)), name_(std::move(name)), runtime_(std::move(runtime)) {
  check_mpi(MPI_Comm_rank(comm_.get(), &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm_.get(), &size_), "MPI_Comm_size");
  if (runtime_->options().comm.check_collectives) {
    checker_ = std::make_unique<CollectiveChecker>(comm_.get(), name_, runtime_);
  }
}

MpiBackend::Operation MpiBackend::begin(const CollectiveCall& call) {
  runtime_->watchdog().enter(name_, call.label);
  if (checker_) checker_->compare(call);
  auto operation = std::make_shared<MpiOperation>();
  operation->group = name_;
  operation->label = call.label;
  operation->rank = rank_;
  operation->size = size_;
  return operation;
}

WorkState MpiBackend::started(const Operation& operation) {
  runtime_->add(operation);
  return std::make_unique<MpiWork>(runtime_, operation);
}

MPI_Request* MpiBackend::next(MpiOperation& operation) {
  return &operation.requests.emplace_back(MPI_REQUEST_NULL);
}

WorkState MpiBackend::all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) {
  const char* const op_name = op == ReduceOp::kSum ? "sum" : op == ReduceOp::kMax ? "max" : "min";
  const auto operation = begin({.kind = "all_reduce",
                                .label = label,
                                .detail = format("{} of {}", op_name, dtype_name(tensor)),
                                .count = tensor.numel()});
  operation->tensors = {tensor};
  const MPI_Datatype type = mpi_type(tensor.scalar_type());
  const std::int64_t chunk = runtime_->options().max_count;
  for (std::int64_t begin = 0; begin < tensor.numel(); begin += chunk) {
    const auto count = static_cast<int>(std::min(chunk, tensor.numel() - begin));
    std::byte* data = data_of(tensor) + begin * static_cast<std::int64_t>(tensor.element_size());
    check_mpi(
        MPI_Iallreduce(MPI_IN_PLACE, data, count, type, mpi_op(op), comm_.get(), next(*operation)),
        operation->where());
  }
  return started(operation);
}

WorkState MpiBackend::all_gather(const at::Tensor& mine, at::Tensor all, const std::string& label) {
  const auto operation = begin(
      {.kind = "all_gather", .label = label, .detail = dtype_name(mine), .count = mine.numel()});
  operation->tensors = {mine, all};
  if (mine.numel() == 0) return nullptr;
  const MPI_Datatype type =
      operation->types.emplace_back(static_cast<std::int64_t>(mine.nbytes())).get();
  check_mpi(MPI_Iallgather(mine.const_data_ptr(), 1, type, all.mutable_data_ptr(), 1, type,
                           comm_.get(), next(*operation)),
            operation->where());
  return started(operation);
}

WorkState MpiBackend::reduce_scatter(const at::Tensor& all, at::Tensor mine,
                                     const std::string& label) {
  const auto operation = begin({.kind = "reduce_scatter",
                                .label = label,
                                .detail = format("sum of {}", dtype_name(all)),
                                .count = all.numel()});
  operation->tensors = {all, mine};
  const MPI_Datatype type = mpi_type(all.scalar_type());
  const std::int64_t chunk = runtime_->options().max_count;
  const auto element = static_cast<std::int64_t>(all.element_size());
  // One reduction for each destination: pieces of any size, unlike MPI_Ireduce_scatter.
  for (int root = 0; root < size_; ++root) {
    const std::byte* part = data_of(all) + root * mine.numel() * element;
    for (std::int64_t begin = 0; begin < mine.numel(); begin += chunk) {
      const auto count = static_cast<int>(std::min(chunk, mine.numel() - begin));
      check_mpi(MPI_Ireduce(part + begin * element, data_of(mine) + begin * element, count, type,
                            MPI_SUM, root, comm_.get(), next(*operation)),
                operation->where());
    }
  }
  return started(operation);
}

WorkState MpiBackend::broadcast(at::Tensor tensor, int root, const std::string& label) {
  const auto operation = begin({.kind = "broadcast",
                                .label = label,
                                .detail = format("{} from rank {}", dtype_name(tensor), root),
                                .count = tensor.numel()});
  operation->tensors = {tensor};
  if (tensor.numel() == 0) return nullptr;
  const MPI_Datatype type =
      operation->types.emplace_back(static_cast<std::int64_t>(tensor.nbytes())).get();
  check_mpi(MPI_Ibcast(tensor.mutable_data_ptr(), 1, type, root, comm_.get(), next(*operation)),
            operation->where());
  return started(operation);
}

WorkState MpiBackend::all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                                 at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                                 const std::string& label) {
  std::int64_t row = 1;
  for (const std::int64_t size : rows.sizes().slice(1)) row *= size;
  const auto operation = begin({.kind = "all_to_all",
                                .label = label,
                                .detail = dtype_name(rows),
                                .count = row,
                                .send_rows = send_rows,
                                .receive_rows = receive_rows});
  operation->tensors = {rows, received};
  operation->counts = {to_int(send_rows, *operation), to_int(receive_rows, *operation)};
  for (std::size_t i = 0; i < 2; ++i) {
    operation->counts.push_back(offsets_of(operation->counts[i]));
  }
  const auto& counts = operation->counts;
  const MPI_Datatype type =
      operation->types.emplace_back(row * static_cast<std::int64_t>(rows.element_size())).get();
  check_mpi(MPI_Ialltoallv(rows.const_data_ptr(), counts[0].data(), counts[2].data(), type,
                           received.mutable_data_ptr(), counts[1].data(), counts[3].data(), type,
                           comm_.get(), next(*operation)),
            operation->where());
  return started(operation);
}

void MpiBackend::barrier(const std::string& label) {
  const auto operation = begin({.kind = "barrier", .label = label});
  check_mpi(MPI_Ibarrier(comm_.get(), next(*operation)), operation->where());
  started(operation)->wait();
}

std::shared_ptr<CommBackend> MpiBackend::split(int colour, const std::string& name) {
  barrier("split into " + name);  // MPI_Comm_split itself has no time-out
  return make_mpi_backend(MpiComm::split(comm_.get(), colour, rank_), name, runtime_);
}

}  // namespace moesaic
