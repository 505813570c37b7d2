// Typed reading of the keys of one config.json, with every mistake kept. Used by the family files.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "core/json.h"

namespace moesaic::arch {

class ConfigReader {
 public:
  ConfigReader(const Json& config, std::vector<Problem>& problems)
      : config_(config), problems_(problems) {}

  /// Present and not null.
  bool has(const std::string& key) const;

  /// Each marks `key` as known; absent or null gives `fallback`.
  std::int64_t size(const std::string& key, std::int64_t fallback, std::int64_t most);   // 1..most
  std::int64_t count(const std::string& key, std::int64_t fallback, std::int64_t most);  // 0..most
  double number(const std::string& key, double fallback, double least, double most);
  double positive(const std::string& key, double fallback);
  bool flag(const std::string& key, bool fallback);

  /// A key that is supported only with one of `allowed`; `null` and absence are always fine.
  void only(const std::string& key, const std::vector<Json>& allowed, const std::string& reason);

  /// Marks keys as known whose values are looked at elsewhere, or do not matter for this family.
  void accept(std::initializer_list<const char*> keys);

  /// A set of integers 0..most in a list, sorted; absent = empty.
  std::vector<std::int64_t> sizes(const std::string& key, std::int64_t most);
  /// Integers 1..most, at most `longest` of them, as they are; absent = empty.
  std::vector<std::int64_t> widths(const std::string& key, std::int64_t most, std::size_t longest);
  /// One of `choices`.
  std::string choice(const std::string& key, std::initializer_list<const char*> choices,
                     const std::string& fallback);

  /// `value`, found at `key`, when it is a number from `least` to `most`; else a mistake.
  double read_number(const Json& value, const std::string& key, double fallback, double least,
                     double most);

  /// Every key that was not asked for and is not passed over, with the nearest that was.
  void refuse_unknown(const std::string& model_type);

  void error(const std::string& key, std::string message);
  void warning(const std::string& key, std::string message);
  const std::set<std::string>& known() const { return known_; }
  const Json& json() const { return config_; }
  /// A value as messages show it, shortened.
  static std::string shown(const Json& value);

 private:
  const Json* find(const std::string& key);
  std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t least,
                       std::int64_t most);

  const Json& config_;
  std::vector<Problem>& problems_;
  std::set<std::string> known_;
};

}  // namespace moesaic::arch
