// LeftOutData: the data of a run without those of some steps; those that follow move up.
#pragma once

#include <memory>
#include <set>

#include "data/step_data.h"

namespace moesaic {

class LeftOutData : public StepData {
 public:
  explicit LeftOutData(std::unique_ptr<StepData> data) : data_(std::move(data)) {}

  StepSize size(std::int64_t step) const override { return data_->size(source(step)); }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    return data_->micro_batch(source(step), index);
  }

  /// The step of the whole data whose batches step `step` has now.
  std::int64_t source(std::int64_t step) const {
    for (const std::int64_t gone : left_out_) {
      if (gone > step) break;
      ++step;
    }
    return step;
  }

  /// Steps of the whole data, from 0, that are left out.
  const std::set<std::int64_t>& left_out() const { return left_out_; }
  void leave_out(std::int64_t source) { left_out_.insert(source); }

 private:
  std::unique_ptr<StepData> data_;
  std::set<std::int64_t> left_out_;
};

}  // namespace moesaic
