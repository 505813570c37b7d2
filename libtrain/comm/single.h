// SingleBackend: a group of one rank. Every collective is a copy or nothing.
#pragma once

#include "comm/backend.h"
#include "comm/watchdog.h"

namespace moesaic {

class SingleBackend : public CommBackend {
 public:
  /// `watchdog`: told of steps and collectives where the group is a whole job; nullptr = a part.
  explicit SingleBackend(std::string name, std::shared_ptr<Watchdog> watchdog = nullptr)
      : name_(std::move(name)), watchdog_(std::move(watchdog)) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  const std::string& name() const override { return name_; }

  WorkState all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) override;
  WorkState all_gather(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                       at::Tensor all, const std::string& label) override;
  WorkState reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                           at::Tensor mine, const std::string& label) override;
  WorkState broadcast(at::Tensor tensor, int root, const std::string& label) override;
  WorkState all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                       at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                       const std::string& label) override;
  void barrier(const std::string& label) override;

  std::shared_ptr<CommBackend> split(int colour, const std::string& name) override;
  void progress() override {
    if (watchdog_) watchdog_->alive();
  }
  void at_step(std::int64_t step) override {
    if (watchdog_) watchdog_->at_step(step);
  }
  bool serves_threads() const override { return true; }
  std::shared_ptr<CommBackend> for_thread(const std::string& thread) override;

 private:
  void enter(const std::string& label) const {
    if (watchdog_) watchdog_->enter(name_, label);
  }

  std::string name_;
  std::shared_ptr<Watchdog> watchdog_;
};

}  // namespace moesaic
