#include "comm/single.h"

#include "core/format.h"

namespace moesaic {

WorkState SingleBackend::all_reduce(at::Tensor, ReduceOp, const std::string& label) {
  enter(label);
  return nullptr;
}

WorkState SingleBackend::all_gather(const at::Tensor& mine, const std::vector<std::int64_t>&,
                                    at::Tensor all, const std::string& label) {
  enter(label);
  all.copy_(mine);
  return nullptr;
}

WorkState SingleBackend::reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>&,
                                        at::Tensor mine, const std::string& label) {
  enter(label);
  mine.copy_(all);
  return nullptr;
}

WorkState SingleBackend::broadcast(at::Tensor, int, const std::string& label) {
  enter(label);
  return nullptr;
}

WorkState SingleBackend::all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>&,
                                    at::Tensor received, const std::vector<std::int64_t>&,
                                    const std::string& label) {
  enter(label);
  received.copy_(rows);
  return nullptr;
}

void SingleBackend::barrier(const std::string& label) { enter(label); }

std::shared_ptr<CommBackend> SingleBackend::split(int, const std::string& name) {
  return std::make_shared<SingleBackend>(name);
}

std::shared_ptr<CommBackend> SingleBackend::for_thread(const std::string& thread) {
  return std::make_shared<SingleBackend>(format("{} ({})", name_, thread));
}

Communicator Communicator::single(const std::string& name) {
  return Communicator(std::make_shared<SingleBackend>(name));
}

}  // namespace moesaic
