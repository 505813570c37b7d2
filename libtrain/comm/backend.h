// CommBackend: what a communication library must offer. Internal to comm; everyone else uses
// Communicator, which has already checked the tensors (defined, contiguous, counts that add up, a
// dtype that fits).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace moesaic {

/// A collective under way; null = already finished.
using WorkState = std::unique_ptr<Work::State>;

class CommBackend {
 public:
  CommBackend() = default;
  virtual ~CommBackend() = default;
  CommBackend(const CommBackend&) = delete;
  CommBackend& operator=(const CommBackend&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const std::string& name() const = 0;

  virtual WorkState all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) = 0;
  /// `rows`: those of each rank, in `all`.
  virtual WorkState all_gather(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                               at::Tensor all, const std::string& label) = 0;
  virtual WorkState reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                                   at::Tensor mine, const std::string& label) = 0;
  virtual WorkState broadcast(at::Tensor tensor, int root, const std::string& label) = 0;
  virtual WorkState all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                               at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                               const std::string& label) = 0;
  virtual void barrier(const std::string& label) = 0;

  virtual std::shared_ptr<CommBackend> split(int colour, const std::string& name) = 0;
  virtual void progress() = 0;
  virtual void at_step(std::int64_t step) = 0;
  /// Whether this library serves several threads of this process at the same time.
  virtual bool serves_threads() const = 0;
  virtual std::shared_ptr<CommBackend> for_thread(const std::string& thread) = 0;
};

}  // namespace moesaic
