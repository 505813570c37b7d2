// Work: handle of a collective under way.
#pragma once

#include <memory>
#include <string>
#include <utility>

namespace moesaic {

/// The tensors given to it stay alive until it ends.
class Work {
 public:
  struct State {
    virtual ~State() = default;
    virtual void wait() = 0;  // blocks; throws Error(kCommunication) on time-out
  };
  Work() = default;  // finished
  /// `label` names the wait in a profile; its seconds are added to `waited`.
  Work(std::unique_ptr<State> state, std::string label, std::shared_ptr<double> waited)
      : state_(std::move(state)), label_(std::move(label)), waited_(std::move(waited)) {}

  /// Blocks until the result may be read. Safe to call twice.
  void wait();

 private:
  std::unique_ptr<State> state_;
  std::string label_;
  std::shared_ptr<double> waited_;
};

}  // namespace moesaic
