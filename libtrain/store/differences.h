// Differences: how stored weights and a model do not fit, in a form that fits into a message
// however many there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic {

class Differences {
 public:
  /// `store` is where the weights are: "the checkpoint", "the folder".
  explicit Differences(std::string store) : store_(std::move(store)) {}

  void missing(const std::string& name, std::int64_t count = 1) { missing_.add(name, count); }
  void unexpected(const std::string& name) { unexpected_.add(name, 1); }
  void differs(const std::string& what) { differs_.add(what, 1); }

  /// Error(kCheckpoint) "<problem>: ..." with `hint` when there are any: of each kind the number
  /// and the first three.
  void require_none(const std::string& problem, const std::string& hint) const;

 private:
  struct Kind {
    std::int64_t count = 0;
    std::vector<std::string> first;
    void add(const std::string& name, std::int64_t number);
  };

  std::string store_;
  Kind missing_, unexpected_, differs_;
};

}  // namespace moesaic
