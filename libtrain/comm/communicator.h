// Communicator: a copyable value in front of a back end (MPI for host tensors, NCCL for device
// tensors, or none for a group of one). Collectives are called by every rank of the group in the
// same order; each carries a label that errors and the watchdog show.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/work.h"

namespace moesaic {

class CommBackend;

enum class ReduceOp { kSum, kMax, kMin };

class Communicator {
 public:
  /// A group of one: every collective is a copy or nothing.
  static Communicator single(const std::string& name = "single");
  /// `waited`: see wait_seconds().
  explicit Communicator(std::shared_ptr<CommBackend> backend,
                        std::shared_ptr<double> waited = std::make_shared<double>(0))
      : backend_(std::move(backend)), waited_(std::move(waited)) {}

  int rank() const;
  int size() const;
  const std::string& name() const;  // "world", "expert", "expert_data"
  bool is_chief() const { return rank() == 0; }

  // All functions below are collective over the group. Tensors are contiguous; integer (int32,
  // int64, uint8) and floating types (float32, float64; bfloat16 where no arithmetic is done).

  /// In place.
  void all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) const;
  Work all_reduce_async(at::Tensor tensor, ReduceOp op, const std::string& label) const;

  /// Sum (or max) over the group of one number.
  double all_reduce(double value, ReduceOp op, const std::string& label) const;

  /// [n, ...] of equal shape on all ranks -> [size * n, ...] in rank order.
  at::Tensor all_gather(const at::Tensor& tensor, const std::string& label) const;

  /// rows[r] rows (perhaps 0) of each rank r -> `all` [sum(rows), ...] in rank order. `mine` may be
  /// this rank's part of `all`.
  Work all_gather_async(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                        at::Tensor all, const std::string& label) const;
  /// The way back: `all` -> the summed rows[rank] rows of this rank. `mine` may be its part of
  /// `all`. On the host in rank order: the bits of all_reduce.
  Work reduce_scatter_async(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                            at::Tensor mine, const std::string& label) const;

  /// In place, from `root`.
  void broadcast(at::Tensor tensor, int root, const std::string& label) const;
  std::string broadcast(const std::string& text, int root, const std::string& label) const;

  /// Every rank's text, in rank order.
  std::vector<std::string> all_gather(const std::string& text, const std::string& label) const;

  /// Rows [sum(send_rows), ...] split by destination -> rows [sum(receive_rows), ...] in source
  /// order. Counts may be zero; `receive_rows` must be what the peers send.
  at::Tensor all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                        const std::vector<std::int64_t>& receive_rows,
                        const std::string& label) const;
  /// As above into `received`, which the caller allocates.
  Work all_to_all_async(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                        at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                        const std::string& label) const;

  void barrier(const std::string& label) const;

  /// Ranks that give the same colour form a group, ordered by their rank here.
  Communicator split(int colour, const std::string& name) const;

  /// Whether all ranks may use for_thread(). Collective over the group.
  bool serves_threads() const;

  /// The same ranks for another thread, which communicates at the same time as this one: with a
  /// communicator, a watchdog and collectives under way of its own, for host tensors. `thread` is
  /// its name. Collective over the group.
  Communicator for_thread(const std::string& thread) const;

  /// Lets asynchronous collectives advance; cheap, not collective. MPI does not progress by itself,
  /// so this is called between the products of nn.
  void progress() const;

  /// Seconds that this thread has been blocked in collectives, of this group and of those that were
  /// split from it or that it was split from. With NCCL the host is not blocked, and it says
  /// nothing.
  double wait_seconds() const { return *waited_; }

  /// Step `step`, from 1, begins: noted for those who look after the job. Cheap, not collective.
  void at_step(std::int64_t step) const;

  /// For a back end that builds on another.
  const std::shared_ptr<CommBackend>& backend() const { return backend_; }

 private:
  Work started(std::unique_ptr<Work::State> state, const std::string& label) const {
    return {std::move(state), label, waited_};
  }

  std::shared_ptr<CommBackend> backend_;
  std::shared_ptr<double> waited_;
};

struct CommOptions {
  double timeout_s = 600.0;                    // of one collective
  bool check_collectives = false;              // compare label and size over the group first
  std::string setting = "parallel.timeout_s";  // what the user calls the time-out
};

}  // namespace moesaic
